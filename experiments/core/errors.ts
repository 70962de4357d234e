// What the harness ends with. The message names what was wrong and the next step.

export class HarnessError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly exitCode: number = 1,
  ) {
    super(message);
    this.name = 'HarnessError';
  }
}
