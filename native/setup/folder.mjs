// Whose build folder it is. Meson writes absolute paths into it: ninja in a copy of a clone would build
// the first one.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** @returns whether Meson finished setting it up, and for these sources */
export function isConfiguredFor(buildFolder, sources) {
  if (
    !existsSync(join(buildFolder, 'build.ninja')) ||
    !existsSync(join(buildFolder, 'meson-private', 'coredata.dat'))
  )
    return false;
  try {
    const { directories } = JSON.parse(
      readFileSync(join(buildFolder, 'meson-info', 'meson-info.json'), 'utf8'),
    );
    return realpathSync(directories.source) === realpathSync(sources);
  } catch {
    // Of a Meson that was killed, or of a clone that is gone.
    return false;
  }
}
