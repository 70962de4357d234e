export function isConfiguredFor(buildFolder: string, sources: string): boolean;
