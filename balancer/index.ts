/**
 * A load balancer that breaks no connection while servers come and go.
 *
 * ```ts
 * using balancer = new LoadBalancer({ service: '192.0.2.1', policy: 'least' });
 * const id = balancer.add('10.0.0.1');
 * for (const { verdict, server } of balancer.process(frames, process.hrtime.bigint())) ...
 * balancer.drain(id); // keeps its connections, gets no new ones
 * ```
 *
 * @module
 */
export {
  LoadBalancer,
  type FrameResult,
  type LoadBalancerStats,
  type ServerCores,
  type Verdict,
} from './balancer.js';
export {
  LoadBalancerError,
  NativeError,
  ReframerError,
  type LoadBalancerErrorCode,
} from './errors.js';
export {
  clocks,
  memories,
  policies,
  type LoadBalancerOptions,
  type LoadBalancerPolicy,
  type Memory,
  type QuicOptions,
  type ServerClock,
  type ServerOptions,
} from './options.js';
export type { Time } from '../native/time.js';
