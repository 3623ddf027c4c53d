import * as z from 'zod';

const SecondsSchema = z.int().min(0).max(86_400);

/** What may be changed while the simulator runs. */
export const SettingsPatchSchema = z.strictObject({
  /** Seconds an access token lives. A list is used up one per token; its last value stays. */
  expiresIn: z.union([SecondsSchema, z.tuple([SecondsSchema], SecondsSchema)]).optional(),
  /** Refuse requests without the headers that SEEK asks for. */
  strictHeaders: z.boolean().optional(),
  /** The signal types SEEK knows: an open set. */
  typeCodes: z.array(z.string().min(1)).min(1).optional(),
});

export type SettingsPatch = z.infer<typeof SettingsPatchSchema>;

export type SettingsValues = {
  expiresIn: number | [number, ...number[]];
  strictHeaders: boolean;
  typeCodes: readonly string[];
};

export type Settings = {
  get: () => SettingsValues;
  change: (patch: SettingsPatch) => SettingsValues;
  /** Seconds for the token being issued now. */
  nextExpiresIn: () => number;
};

const DEFAULTS: SettingsValues = {
  // What SEEK's sample answer says; real answers may say anything.
  expiresIn: 1800,
  strictHeaders: true,
  typeCodes: ['ApplicationComplete', 'ApplicationStatusUpdate', 'PositionStatusUpdate'],
};

export const createSettings = (initial: SettingsPatch): Settings => {
  let values = DEFAULTS;

  const change = (patch: SettingsPatch): SettingsValues => {
    const { expiresIn, strictHeaders, typeCodes } = SettingsPatchSchema.parse(patch);

    values = {
      expiresIn: expiresIn ?? values.expiresIn,
      strictHeaders: strictHeaders ?? values.strictHeaders,
      typeCodes: typeCodes ?? values.typeCodes,
    };

    return values;
  };

  change(initial);

  return {
    get: () => values,
    change,

    nextExpiresIn: () => {
      if (typeof values.expiresIn === 'number') {
        return values.expiresIn;
      }

      const [seconds, next, ...later] = values.expiresIn;

      if (next !== undefined) {
        values = { ...values, expiresIn: [next, ...later] };
      }

      return seconds;
    },
  };
};
