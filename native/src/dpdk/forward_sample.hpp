// What the box counts, as a record.
//
// SAMPLE {"lanes":[LANE, ...],"ports":[PORT, ...],"missed":N,"noBuffer":N}
// PORT   {"port","missed","noBuffer","sent","bytesSent"}
//        missed: packets that the receive rings could not take; noBuffer: those of them for want of a
//        buffer; sent, bytesSent: by the driver's own count. The two sums stand beside the lanes.
// LANE   {"in","out","queue","received","sent","held","unsent","txWaits","bytesIn","bytesOut",
//         "oversized","workPolls","workUs","runsIn","runsOut","released":{REASON:N, ...},
//         "holds":[N, ...],"holdSumUs","slfIn","slfOut","holdP50Us","holdMaxUs","delayUs","nicHash",
//         "thinned"}
//        oversized: frames longer than any link carries, joined by a host's segmentation offload;
//        workPolls, workUs: polls that took or gave packets, and their time;
//        holds: packets held for less than 2^10, 2^11, ... 2^30 ns, and all of them last; holdSumUs:
//        their sum by the middle of each bucket of the histogram, 1/16 of an octave wide.
#pragma once

#include "dpdk/forward_lanes.hpp"
#include "jobs/job.hpp"

namespace reframer::dpdk {

lab::Json forward_sample(const ForwardLanes &lanes);

} // namespace reframer::dpdk
