#include "reframer/arena.hpp"

namespace reframer::stage {

namespace {
// Below this a huge page would be mostly empty, and the TLB has entries enough.
constexpr size_t huge_from = base::huge_page / 8;
} // namespace

bool Arena::allocate()
{
	if (!pages_.map(size_, huge_from))
		return false;
	pages_.touch();
	return true;
}

} // namespace reframer::stage
