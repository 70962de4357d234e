#include "measure/median.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reframer::engine;

TEST_CASE("the median of an even number lies between the two in the middle; none have 0")
{
	CHECK(median(std::vector<double>{}) == 0);
	CHECK(median(std::vector<double>{7}) == 7);
	CHECK(median(std::vector<double>{9, 1, 5}) == 5);
	CHECK(median(std::vector<double>{9, 1, 5, 2}) == 3.5);
	CHECK(median(std::vector<uint64_t>{4, 1, 2, 3}) == 2.5);
	CHECK(median(std::vector<float>{1, 1, 1, 8}) == 1);
}

TEST_CASE("a quantile is one of the values")
{
	const std::vector<uint64_t> values = {50, 10, 40, 20, 30};
	CHECK(quantile(values, 0) == 10);
	CHECK(quantile(values, 0.5) == 30);
	CHECK(quantile(values, 0.99) == 50);
	CHECK(quantile(values, 1) == 50);
	CHECK(quantile(std::vector<uint64_t>{}, 0.5) == 0);
}

TEST_CASE("the interval of a median is repeatable, encloses it, and narrows with more values")
{
	std::vector<double> few, many;
	for (int i = 0; i < 1000; i++)
		(i < 20 ? few : many).push_back((i * 7919) % 1000);
	many.insert(many.end(), few.begin(), few.end());
	const auto [low, high] = interval_of_median(few, 1);
	CHECK(interval_of_median(few, 1) == std::pair(low, high));
	CHECK(low <= median(few));
	CHECK(median(few) <= high);
	const auto [low_of_many, high_of_many] = interval_of_median(many, 1);
	CHECK(high_of_many - low_of_many < high - low);
	CHECK(interval_of_median({3, 3, 3}, 1) == std::pair(3.0, 3.0));
}
