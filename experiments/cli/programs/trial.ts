// One run of a program of DPDK that nobody here wrote, with or without Reframer preloaded.
import { spawnSync } from 'node:child_process';

import { CliError, exitCodes } from '../errors.js';

/** What a run was measured at. */
export interface ProgramTrial {
  /** Of the forwarding core, by the packets that left: that core has nothing else to do. */
  nsPerPacket: number;
  /** As the program counts them itself. */
  cyclesPerPacket: number;
  /** Open vSwitch: packets of an output batch; share of packets found in its exact-match cache and
   *  by its wildcard rules. */
  packetsPerBatch?: number;
  emcHits?: number;
  megaflowHits?: number;
}

export interface ProgramRun {
  /** Is played over and over by DPDK's net_pcap (`infinite_rx`). */
  capture: string;
  /** Folder for what the program writes. */
  folder: string;
  environment: NodeJS.ProcessEnv;
  timeMs: number;
}

/** Before the counters are looked at first: pages are touched, the first packets come due. */
export const warmUpMs = 300;

/** @throws CliError `not-supported`: `program`, of Debian's package `from`, is not here */
export function needProgram(program: string, from: string, argument = '--help'): void {
  if (spawnSync(program, [argument], { stdio: 'ignore' }).error === undefined) return;
  throw new CliError(
    'not-supported',
    `${program} is not here: apt-get install ${from}`,
    exitCodes.notSupported,
  );
}

/** The last words of a program that failed. */
export const lastWords = (output: string): string =>
  output.trimEnd().split('\n').slice(-5).join('\n');
