/** @returns the source with `from` replaced by `to`; undefined where `from` is not there, or more than once */
export function planted(source: string, from: string, to: string): string | undefined;
