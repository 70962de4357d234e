/**
 * What every error of this package is: `code` is stable, the message says what was wrong, where, and
 * what to do next. Each room lists its codes at its own class; the rooms' classes extend this one.
 */
export class ReframerError extends Error {
  /** Stable, to be compared with: `bad-option`, `closed`, ... */
  readonly code: string;
  /** The option that was wrong, where one was. */
  readonly option?: string | undefined;

  constructor(code: string, message: string, option?: string) {
    super(message);
    this.name = 'ReframerError';
    this.code = code;
    if (option !== undefined) this.option = option;
  }

  /** As logs want it. */
  toJSON(): { name: string; code: string; message: string; option?: string } {
    const { name, code, message, option } = this;
    return { name, code, message, ...(option === undefined ? {} : { option }) };
  }
}
