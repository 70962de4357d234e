// What the fake lab answers: throughput with 1 % of normal noise around a mean that the policy sets.
const base = { off: 25, burst: 40, fixed: 50, adaptive: 60 };

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** @returns {import('../../experiments/core/types.js').JsonObject} */
export function answer(job, spec, random, shift = 1) {
  if (job === 'analyze') {
    const held = {
      16: { slf: 2, ratio: 1.6 },
      64: { slf: 3, ratio: 2.4 },
      128: { slf: 3.5, ratio: 2.8 },
    };
    return {
      file: spec.files[0],
      packets: 1000,
      flows: 50,
      slf: 1.25,
      durationSeconds: 1,
      gain: { native: null, '10Gbps': held, '40Gbps': held, '100Gbps': held },
    };
  }
  const mean = (base[spec.policy] ?? 25) * (spec.chain === 'modern' ? 2 : 1) * shift;
  const gbps = mean * (1 + 0.01 * normal(random));
  const us = (1000 / mean) * (1 + 0.01 * normal(random));
  return {
    job,
    seed: spec.seed,
    offeredBps: spec.offeredBps,
    throughputBps: gbps * 1e9,
    slfIn: 1.22,
    slfOut: spec.policy === 'off' ? 1.22 : 3,
    nsPerPacket: 70000 / gbps,
    cyclesPerPacket: 180000 / gbps,
    stageNsPerPacket: 20,
    latencyNs: {
      mean: us * 1000,
      p50: us * 1000,
      p95: us * 2000,
      p99: us * 3000,
      p999: us * 4000,
      max: us * 5000,
    },
    drops: { ring: 10, ringShare: Math.max(0, 1 - (mean * 1e9) / spec.offeredBps), nf: 0 },
    void: false,
    checks: { passed: true },
  };
}
