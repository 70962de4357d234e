// Counts as they read in a sentence.
const grouping = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const formatCount = (value: number): string => grouping.format(value);

/** 1 packet, 2 packets. */
export const counted = (value: number, noun: string, nouns = `${noun}s`): string =>
  `${formatCount(value)} ${value === 1 ? noun : nouns}`;
