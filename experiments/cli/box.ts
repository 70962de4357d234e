// What `reframer-dpdk forward` tells of itself; see native/src/dpdk/forward_sample.hpp.
import type { ErrorRecord } from './errors.js';
import type { BalancerReply } from './balancer-file.js';
import type { GuardCounts } from './guard.js';
import type { PortGrant } from './suite-options.js';

export interface Lane {
  in: string;
  out: string;
  queue: number;
  received: number;
  sent: number;
  bytesIn: number;
  bytesOut: number;
  unsent: number;
  txWaits: number;
  oversized: number;
  workPolls: number;
  workUs: number;
  held: number;
  thinned: number;
  runsIn: number;
  runsOut: number;
  released: Record<string, number>;
  holds: number[];
  holdSumUs: number;
  slfIn: number;
  slfOut: number;
  holdP50Us: number;
  holdMaxUs: number;
  delayUs: number;
  nicHash: boolean;
}

export interface Port {
  port: string;
  missed: number;
  noBuffer: number;
  sent: number;
  bytesSent: number;
}

/** Flows that are followed, and what functions did. */
export interface Flows {
  packets: number;
  live: number;
  began: number;
  left: number;
  translated: number;
  denied: number;
  /** Dropped: NAT has no translation for them. */
  untranslated: number;
  noRoom: number;
}

/** What RSS++ did. */
export interface Balance {
  table: 'reta' | 'software';
  buckets: number;
  epochs: number;
  moves: number;
  refused: number;
  activeCores: number;
  coresChanged: number;
  imbalancePercent: number;
  held: number;
  heldMax: number;
  forwarded: number;
  handedOver: number;
  stateErrors: number;
}

export interface Sample {
  flows?: Flows;
  balance?: Balance;
  /** Where a port takes only what it claims. */
  guards?: GuardCounts[];
  /** Counters of the balancer, where there is one. */
  balancer?: Readonly<Record<string, number>>;
  lanes: Lane[];
  ports: Port[];
  missed: number;
  noBuffer: number;
}

export interface Ready {
  lanes: number;
  threads: number;
  /** Of each thread. */
  cpus: string[];
  ports: PortGrant[];
  /** Whom it became, where it was root. */
  uid?: number;
  gid?: number;
}

export interface Reply extends Partial<Sample>, BalancerReply {
  ready?: Ready;
  error?: ErrorRecord;
  /** So many are in force. */
  rules?: number;
  summary?: Sample & { lost: number };
}

export const total = (lanes: readonly Lane[], value: (lane: Lane) => number): number =>
  lanes.reduce((sum, lane) => sum + value(lane), 0);
