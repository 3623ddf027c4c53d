/** The environment of a process whose clock differs from that of this machine. */
export const shiftedClock = (byMs: number): { NODE_OPTIONS: string } => {
  const module = `
    const RealDate = Date;
    globalThis.Date = class extends RealDate {
      constructor(...given) {
        if (given.length === 0) super(RealDate.now() + ${byMs});
        else super(...given);
      }
      static now() {
        return RealDate.now() + ${byMs};
      }
    };`;
  const url = `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`;
  return { NODE_OPTIONS: `--import=${url}` };
};
