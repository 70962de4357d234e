// What the box counts, as a record.
//
// SAMPLE {"lanes":[LANE, ...],"ports":[PORT, ...],"missed":N,"noBuffer":N,"flows"?:FLOWS,"balance"?:BALANCE}
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
// FLOWS  {"packets","live","began","left","translated","denied","untranslated","noRoom"}
//        packets of flows that are followed; flows now, begun, timed out; packets by what was done:
//        untranslated ones were dropped, because NAT has no translation for them
// BALANCE {"table","buckets","epochs","moves","refused","activeCores","coresChanged",
//        "imbalancePercent","held","heldMax","forwarded","handedOver","stateErrors"}
//        held: packets that waited for their bucket; stateErrors: buckets that came without flows
#pragma once

#include "dpdk/forward_lanes.hpp"
#include "jobs/job.hpp"

namespace reframer::dpdk {

lab::Json forward_sample(const ForwardLanes &lanes);

} // namespace reframer::dpdk
