import * as z from 'zod';

const SecondsSchema = z.int().min(0).max(86_400);

/** The settings that can be changed while the simulator runs. */
export const SettingsPatchSchema = z.strictObject({
  /** Lifetime of access tokens, in seconds. A list gives one per token; its last value is used from then on. */
  expiresIn: z.union([SecondsSchema, z.tuple([SecondsSchema], SecondsSchema)]).optional(),
  /** Reject requests without the headers that SEEK requires. */
  strictHeaders: z.boolean().optional(),
  /** The signal types that are accepted. SEEK may add types at any time. */
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
  /** The lifetime of the next token, in seconds. Removes it from a list unless it is the last. */
  nextExpiresIn: () => number;
};

const DEFAULTS: SettingsValues = {
  // The value in SEEK's sample response. A real response may have any value.
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
