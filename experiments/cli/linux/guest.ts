// A virtual machine behind the box, over vhost: why there is no row of one. Asked anew at each run.
import { accessSync, constants } from 'node:fs';

import { isInstalled } from './spaces.js';

export interface NotTestable {
  row: string;
  reason: string;
}

export function noGuest(): NotTestable {
  const lacks: string[] = [];
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    lacks.push(error instanceof Error ? error.message : String(error));
  }
  if (!isInstalled('qemu-system-x86_64')) lacks.push('qemu-system-x86_64 is not installed');
  // A kernel and its root file system, which nobody but the user can choose.
  lacks.push('no guest comes with the suite');
  return { row: 'a virtual machine behind vhost', reason: lacks.join('; ') };
}
