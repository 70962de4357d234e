#include "measure/histogram.hpp"
#include "reframer/histogram.hpp"

#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace reframer;
using engine::Histogram;

namespace {

template <typename Buckets> void check_buckets(double width)
{
	CHECK(Buckets::of(0) == 0);
	CHECK(Buckets::of(UINT64_MAX) == Buckets::count - 1);
	for (size_t i = 1; i < Buckets::count; i++) {
		const uint64_t low = Buckets::low(i);
		REQUIRE(Buckets::of(low) == i);
		REQUIRE(Buckets::of(low - 1) == i - 1);
		if (i + 1 < Buckets::count)
			REQUIRE(double(Buckets::low(i + 1) - low) <= std::max(1.0, width * double(low)));
	}
}

} // namespace

TEST_CASE("buckets follow each other without a gap, as wide as they may be")
{
	check_buckets<base::LogBuckets<6>>(1.0 / 64);
	check_buckets<stage::HoldBuckets>(1.0 / 16);
	CHECK(stage::hold_bucket(UINT64_MAX) == REFRAMER_HISTOGRAM_BUCKETS - 1);
}

TEST_CASE("histogram quantiles are within one part in 64")
{
	std::mt19937_64 random(test::seed_for("histogram", 1));
	Histogram h;
	std::vector<uint64_t> values;
	for (int i = 0; i < 100000; i++) {
		uint64_t v = random() >> random() % 63;
		values.push_back(v);
		h.add(v);
	}
	std::sort(values.begin(), values.end());
	for (double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
		double exact = static_cast<double>(values[static_cast<size_t>(q * 100000) - 1]);
		CHECK(h.quantile(q) == doctest::Approx(exact).epsilon(1.0 / 64));
	}
	CHECK(h.quantile(1.0) <= static_cast<double>(h.max()));
	CHECK(h.max() == values.back());
}
