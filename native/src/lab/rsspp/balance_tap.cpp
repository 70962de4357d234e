// Job `balance-tap`: a multi-queue TAP in a namespace of its own, cores on its queues, and skewed
// traffic through the kernel; see device_session.hpp for how it is balanced.
//
// spec    {"cores": 4, "entries": 128, "flows": 1000, "skew": 0.9, "packetsPerSecond": 20000,
//          "workRounds": 10000, "ringDepth": 4096, "seed": 1}
// details {"sent","received","dropped","moving"}
// summary {"sent","received","processed","dropped","missing","reordered","foreign","forwarded",
//          "held","refused"}; sent = received + dropped, missing = dropped, reordered = 0
#include "jobs/device_session.hpp"
#include "lab/rsspp/tap_rig.hpp"

namespace reframer::lab {

void run_balance_tap(const Json &json)
{
	SpecReader in(json, "");
	TapSpec spec;
	spec.read(in, 1, 20'000);
	in.finish();

	SessionInput input;
	TapRig rig(spec);
	SessionHooks hooks;
	hooks.details = [&] {
		return joined(NAMED(rig.sender.sent(), rig.workers.received(), rig.port.dropped()),
		              {{"moving", rig.workers.moves_in_progress()}});
	};
	hooks.finish = [&] { return rig.finish(); };
	serve_device(input, rig.workers, hooks);
}

} // namespace reframer::lab
