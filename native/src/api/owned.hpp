// Objects of the C interfaces, freed by who owns them.
#pragma once

#include "reframer/conntrack.h"
#include "reframer/reframer.h"
#include "reframer/rsspp.h"

#include <memory>

namespace reframer::api {

template <auto free> struct Freed {
	template <typename T> void operator()(T *object) const { free(object); }
};
template <typename T, auto free> using Owned = std::unique_ptr<T, Freed<free>>;

using Stage = Owned<reframer_stage, reframer_free>;
using FlowTable = Owned<conntrack_table, conntrack_free>;
using Balancer = Owned<rsspp_balancer, rsspp_balancer_free>;
using HandOver = Owned<rsspp_handover, rsspp_handover_free>;

// What `create` makes of these parameters; nothing where it refuses, and then `error` says why.
template <typename Object, typename Create, typename Params>
Object create(Create create, const Params &params, int *error = nullptr)
{
	typename Object::pointer made = nullptr;
	const int result = create(&params, &made);
	if (error)
		*error = result;
	return Object(result == 0 ? made : nullptr);
}

} // namespace reframer::api
