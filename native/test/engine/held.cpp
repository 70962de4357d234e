// A chain behind the stage, as the job `chains` has it.
#include "lab/chains/held.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace reframer;
using namespace reframer::lab::chains;

namespace {

// Counts packets and the runs of one hash in which they come.
class Counting final : public Contender {
public:
	void take(nf::Mbuf **packets, uint32_t n, uint64_t) override
	{
		passed += n;
		for (uint32_t i = 0; i < n; i++) {
			runs += packets[i]->rss != last_;
			last_ = packets[i]->rss;
		}
	}
	void finish(uint64_t) override {}
	uint64_t counted() override { return passed; }
	uint64_t digest() override { return 0; }
	uint64_t bytes() override { return 0; }

	uint64_t runs = 0;

private:
	uint32_t last_ = 0;
};

struct Core {
	static constexpr uint32_t burst = 32;

	// Sixteen flows in turn, two packets a microsecond; a packet and a run cost `packet` and `run` ns.
	void work(uint64_t until, double packet, double run)
	{
		nf::Mbuf *packets[burst];
		for (; now < until; now += burst * 500) {
			for (nf::Mbuf *&m : packets) {
				m = &buffers[next % buffers.size()];
				m->wire = 100;
				m->rss = (1 + next++ % 16) * 2654435761u;
			}
			const uint64_t passed = chain->passed, runs = chain->runs;
			held.take(packets, burst, now);
			const double busy =
				packet * double(chain->passed - passed) + run * double(chain->runs - runs);
			held.report(static_cast<uint64_t>(busy), burst * 500,
			            static_cast<uint32_t>(chain->passed - passed));
		}
	}

	std::vector<nf::Mbuf> buffers = std::vector<nf::Mbuf>(8192);
	Counting *chain = new Counting;
	Held held{std::unique_ptr<Contender>(chain), {REFRAMER_ADAPTIVE, 64'000}, 1};
	uint64_t now = 0;
	uint32_t next = 0;
};

} // namespace

TEST_CASE("held, adaptive: what passes is counted, and the hold comes back with the load")
{
	Core core;
	core.work(100'000'000, 3, 4);
	core.held.reset_stats();
	core.work(101'000'000, 3, 4);
	CHECK(core.held.run_length() == 1); // passes as it comes
	core.work(300'000'000, 300, 400);
	core.held.reset_stats();
	core.work(310'000'000, 300, 400);
	CHECK(core.held.run_length() > 1.5);
	CHECK(core.held.hold_us(0.99) > 1);
	core.held.finish(core.now);
	CHECK(core.held.passed == core.next);
}
