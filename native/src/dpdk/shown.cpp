#include "dpdk/shown.hpp"

#include "dpdk/registry.hpp"

#include <cctype>
#include <cerrno>
#include <new>
#include <string>

namespace reframer::dpdk {

namespace {

constexpr size_t longest_name = 32;

struct Shown {
	std::string name;
	const conntrack_table *table;
};

} // namespace

int show_table(const char *name, const conntrack_table *table)
try {
	if (name == nullptr || table == nullptr)
		return -EINVAL;
	const std::string wanted = name;
	if (wanted.empty() || wanted.size() > longest_name)
		return -EINVAL;
	for (const char c : wanted)
		if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-')
			return -EINVAL;
	bool taken = false;
	Registry<Shown>::each(
		[&](const Shown &shown) { taken |= shown.name == wanted || shown.table == table; });
	if (taken)
		return -EEXIST;
	Registry<Shown>::add(new Shown{wanted, table});
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void hide_table(const conntrack_table *table)
{
	Shown *found = nullptr;
	Registry<Shown>::each([&](Shown &shown) {
		if (shown.table == table)
			found = &shown;
	});
	if (found == nullptr)
		return;
	Registry<Shown>::remove(found);
	delete found;
}

void each_table(const std::function<void(const char *, const conntrack_table &)> &work)
{
	Registry<Shown>::each([&](const Shown &shown) { work(shown.name.c_str(), *shown.table); });
}

} // namespace reframer::dpdk
