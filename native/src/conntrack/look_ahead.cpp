// Look-ahead as calls of its own: one burst's lines come while the burst before it is worked on.
#include "conntrack/table.hpp"

#include <cerrno>

using namespace reframer::conntrack;

namespace {

// A burst of none is right without arrays.
bool lacks(const conntrack_table *t, void *const *states)
{
	return !t || (!states && t->nb_submitted && t->submitted[t->first_submitted].count);
}

// The burst submitted first, which leaves the queue; NULL where there is none.
const Submitted *take(conntrack_table &t)
{
	if (t.nb_submitted == 0)
		return nullptr;
	const Submitted &s = t.submitted[t.first_submitted];
	t.first_submitted = (t.first_submitted + 1) % most_submitted;
	t.nb_submitted--;
	return &s;
}

} // namespace

extern "C" {

int conntrack_submit(struct conntrack_table *t, const void *keys, const uint32_t *nic_hashes,
                     uint32_t count)
{
	if (!t || (count > 0 && !keys) || count > longest_submitted ||
	    (t->flags & CONNTRACK_NIC_HASH && !nic_hashes && count))
		return -EINVAL;
	if (t->nb_submitted == most_submitted)
		return -ENOBUFS;
	Submitted &s = t->submitted[(t->first_submitted + t->nb_submitted) % most_submitted];
	s.keys = static_cast<const uint8_t *>(keys);
	s.count = count;
	conntrack_digest_burst(t, keys, nic_hashes, count, s.digests);
	t->nb_submitted++;
	return 0;
}

int conntrack_collect(struct conntrack_table *t, uint64_t now_ns, void **states, uint8_t *results)
{
	if (lacks(t, states))
		return -EINVAL;
	const Submitted *s = take(*t);
	return s ? static_cast<int>(conntrack_find_or_insert_burst(t, s->keys, s->digests, s->count,
	                                                           now_ns, states, results))
	         : -EAGAIN;
}

int conntrack_collect_found(struct conntrack_table *t, uint64_t now_ns, void **states)
{
	if (lacks(t, states))
		return -EINVAL;
	const Submitted *s = take(*t);
	return s ? static_cast<int>(
				   conntrack_find_burst(t, s->keys, s->digests, s->count, now_ns, states))
	         : -EAGAIN;
}

} // extern "C"
