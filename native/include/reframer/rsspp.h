/**
 * RSS++: share the load of receive cores by rewriting the NIC's RSS indirection table (RETA).
 *
 * Published as "RSS++: load and state-aware receive side scaling" (CoNEXT'19). A RETA entry is a
 * *bucket*; its *owner* is the core whose queue it names. Once an epoch (default 100 ms, 10 ms
 * while a core is busy) the caller passes packet counters per bucket and load per core; the
 * balancer answers with the buckets that should change owner. Writing the table and handing flow
 * state over are the caller's (see the migration part of this header).
 *
 * Thread safety: none; one balancer per port, called from one thread, off the packet path.
 * Memory: allocated at create.
 * Errors: negative errno values; rsspp_balancer_check() and rsspp_handover_check() put -EINVAL into
 * words. A null pointer where one is needed is refused: -EINVAL, 0 or nothing done, as the function
 * returns; so are cores and buckets that there are not. Undefined are pointers to what is no such
 * object or is freed already, and arrays that are shorter than the numbers that come with them; a
 * debug build of the library ends at numbers beyond 2^24.
 *
 * Versions: see version.h. struct rsspp_move never changes; the others grow at their end, and the
 * inline functions below tell the library by how much.
 */
#ifndef REFRAMER_RSSPP_H
#define REFRAMER_RSSPP_H

#include <reframer/rsspp/balancer.h>
#include <reframer/rsspp/handover.h>
#include <reframer/rsspp/solver.h>

#endif
