// States and entries as columns, for callers that cannot follow pointers into the table.
#include "api/sized.hpp"
#include "conntrack/table.hpp"

#include <cerrno>
#include <cstring>

namespace {

template <typename Number>
void add_to(void *const *states, uint32_t count, uint32_t offset, const uint32_t *amounts,
            uint32_t amount)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!states[i])
			continue;
		auto *at = static_cast<uint8_t *>(states[i]) + offset;
		Number number;
		std::memcpy(&number, at, sizeof(number));
		number += amounts ? amounts[i] : amount;
		std::memcpy(at, &number, sizeof(number));
	}
}

} // namespace

extern "C" {

void conntrack_load_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                           void *out)
{
	if (!t || !states || !out)
		return;
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	auto *to = static_cast<uint8_t *>(out);
	for (uint32_t i = 0; i < count; i++, to += t->state_size) {
		if (states[i])
			std::memcpy(to, states[i], t->state_size);
		else
			std::memset(to, 0, t->state_size);
	}
}

void conntrack_store_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                            const void *in)
{
	if (!t || !states || !in)
		return;
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	const auto *from = static_cast<const uint8_t *>(in);
	for (uint32_t i = 0; i < count; i++, from += t->state_size)
		if (states[i])
			std::memcpy(states[i], from, t->state_size);
}

int conntrack_add_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                         uint32_t offset, uint32_t bytes, const uint32_t *amounts, uint32_t amount)
{
	if (!t || !states || (bytes != 4 && bytes != 8) || offset % bytes != 0 ||
	    offset > t->state_size || bytes > t->state_size - offset)
		return -EINVAL;
	if (bytes == 4)
		add_to<uint32_t>(states, count, offset, amounts, amount);
	else
		add_to<uint64_t>(states, count, offset, amounts, amount);
	return 0;
}

uint64_t conntrack_snapshot(struct conntrack_table *t, uint64_t now_ns, uint64_t room, void *keys,
                            void *states, uint8_t *classes)
{
	if (!t || !keys || !states || !classes)
		return 0;
	struct Columns {
		const conntrack_table *t;
		uint64_t room, count;
		uint8_t *keys, *states, *classes;
	} columns{t, room, 0, static_cast<uint8_t *>(keys), static_cast<uint8_t *>(states), classes};
	auto add = [](void *context, const void *key, void *state, int timeout_class) {
		auto &c = *static_cast<Columns *>(context);
		if (c.count == c.room)
			return;
		std::memcpy(c.keys + c.count * c.t->key_size, key, c.t->key_size);
		std::memcpy(c.states + c.count * c.t->state_size, state, c.t->state_size);
		c.classes[c.count++] = static_cast<uint8_t>(timeout_class);
	};
	conntrack_iterate(t, now_ns, add, &columns);
	return columns.count;
}

} // extern "C"
