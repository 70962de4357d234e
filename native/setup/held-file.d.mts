export function take(
  file: string,
  alive: (text: string) => boolean,
  text?: string,
): string | undefined;
export function giveBack(file: string): void;
