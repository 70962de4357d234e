// The C interface, balancer.h.
#include "api/sized.hpp"
#include "nf/balancer/engine.hpp"
#include "nf/balancer/parameters.hpp"

#include <bit>
#include <cerrno>
#include <new>

using namespace reframer;
using namespace reframer::balance;

struct balancer {
	explicit balancer(const balancer_params &params) : engine(params) {}

	Engine engine;
};

namespace {

bool has(const balancer *b, uint32_t id)
{
	return b && b->engine.pool.has(id);
}

int find(const balancer *b, Address address)
{
	const uint32_t id = b && address.bytes ? b->engine.pool.at(address) : Pool::none;
	return id == Pool::none ? -ENOENT : static_cast<int>(id);
}

int core_of(const balancer *b, uint32_t id, Address client, uint16_t client_port,
            uint16_t service_port)
{
	const CoreMap *cores = has(b, id) ? b->engine.policy.cores(id) : nullptr;
	if (!cores || !client.bytes)
		return -ENOENT;
	const Address server = b->engine.pool[id].at(client.v6);
	const uint16_t ports[2] = {__builtin_bswap16(client_port), __builtin_bswap16(service_port)};
	return static_cast<int>(cores->core_of(client, server, ports));
}

// Says with how many bytes the program was compiled: so many are read of the struct later.
template <typename T> void put_defaults(T *out, size_t size, T defaults)
{
	if (!out)
		return;
	defaults.size = size;
	api::write_sized(out, size, defaults);
}

template <typename Work> int guarded(Work work)
{
	try {
		return work();
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
}

} // namespace

void balancer_params_init(balancer_params *params, size_t size)
{
	put_defaults(params, size, balance::default_params());
}

void balancer_server_init(balancer_server *server, size_t size)
{
	put_defaults(server, size, default_server());
}

void balancer_quic_init(balancer_quic *quic, size_t size)
{
	put_defaults(quic, size, default_quic());
}

int balancer_check(const balancer_params *params, char *why, size_t n)
{
	api::Why said(why, n);
	balancer_params full;
	return api::result(read_params(params, full, said));
}

int balancer_create(const balancer_params *params, balancer **out)
{
	api::Why why;
	balancer_params full;
	if (!out || !read_params(params, full, why))
		return -EINVAL;
	return guarded([&] {
		*out = new balancer(full);
		return 0;
	});
}

void balancer_free(balancer *b)
{
	delete b;
}

int balancer_add(balancer *b, const balancer_server *server)
{
	balancer_server full;
	if (!b || !read_server(server, full))
		return -EINVAL;
	return guarded([&] { return b->engine.add(full); });
}

int balancer_drain(balancer *b, uint32_t id)
{
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.set_state(id, ServerState::draining);
		return 0;
	});
}

int balancer_activate(balancer *b, uint32_t id)
{
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.set_state(id, ServerState::active);
		return 0;
	});
}

int balancer_remove(balancer *b, uint32_t id)
{
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.remove(id);
		return 0;
	});
}

int balancer_set_weight(balancer *b, uint32_t id, uint32_t weight)
{
	if (weight > 1000)
		return -EINVAL;
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.set_weight(id, weight);
		return 0;
	});
}

int balancer_find(const balancer *b, const uint8_t address[4])
{
	return find(b, {address, false});
}

int balancer_find6(const balancer *b, const uint8_t address[16])
{
	return find(b, {address, true});
}

int balancer_report_load(balancer *b, uint32_t id, double load)
{
	if (!(load >= 0 && load < 1e300))
		return -EINVAL;
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.policy.report(id, load);
		return 0;
	});
}

int balancer_set_cores(balancer *b, uint32_t id, const balancer_cores *cores)
{
	if (!cores || !cores->table || !std::has_single_bit(cores->nb_buckets) ||
	    cores->nb_buckets > BALANCER_MAX_BUCKETS || cores->nb_cores == 0 ||
	    cores->nb_cores > BALANCER_MAX_CORES)
		return -EINVAL;
	for (uint32_t i = 0; i < cores->nb_buckets; i++)
		if (cores->table[i] >= cores->nb_cores)
			return -EINVAL;
	if (!has(b, id))
		return -ENOENT;
	return guarded([&] {
		b->engine.policy.set_cores(id, *cores);
		return 0;
	});
}

int balancer_report_cores(balancer *b, uint32_t id, const float *loads, uint32_t nb)
{
	if (!has(b, id))
		return -ENOENT;
	return loads && b->engine.policy.report_cores(id, loads, nb) ? 0 : -EINVAL;
}

int balancer_core_of(const balancer *b, uint32_t id, const uint8_t client[4], uint16_t client_port,
                     uint16_t service_port)
{
	return core_of(b, id, {client, false}, client_port, service_port);
}

int balancer_core_of6(const balancer *b, uint32_t id, const uint8_t client[16],
                      uint16_t client_port, uint16_t service_port)
{
	return core_of(b, id, {client, true}, client_port, service_port);
}

int balancer_set_quic(balancer *b, const balancer_quic *quic)
{
	balancer_quic full;
	if (!b || b->engine.params.memory != BALANCER_COOKIE || !read_quic_config(quic, full))
		return -EINVAL;
	if (full.encrypted && !Aes128::supported())
		return -ENOTSUP;
	return guarded([&] {
		b->engine.quic_ids.set(full);
		return 0;
	});
}

int balancer_clear_quic(balancer *b, uint32_t rotation)
{
	return b && b->engine.quic_ids.clear(rotation) ? 0 : -ENOENT;
}

int balancer_quic_id(const balancer *b, uint32_t rotation, uint32_t id, const uint8_t *nonce,
                     uint8_t *out)
{
	const uint32_t n = b && nonce && out ? b->engine.quic_ids.write(rotation, id, nonce, out) : 0;
	return n > 0 ? static_cast<int>(n) : -ENOENT;
}

void balancer_process(balancer *b, balancer_frame *frames, uint32_t count, uint64_t now_ns)
{
	if (!b || !frames)
		return;
	b->engine.process_burst(frames, count, now_ns);
}

int balancer_direct(balancer *b, uint8_t *data, uint32_t length, uint32_t id)
{
	if (!has(b, id))
		return -ENOENT;
	Packet p;
	return data && read_packet(data, length, p) == nf::verdict_pass && b->engine.direct(p, id)
	           ? 0
	           : -EINVAL;
}

uint32_t balancer_servers(const balancer *b, uint32_t *ids, uint32_t room)
{
	uint32_t n = 0;
	for (uint32_t id = 0; b && id < b->engine.pool.size(); id++)
		if (b->engine.pool.has(id)) {
			if (ids && n < room)
				ids[n] = id;
			n++;
		}
	return n;
}

void balancer_stats_get(const balancer *b, balancer_stats *out, size_t size)
{
	if (!out)
		return;
	balancer_stats s = {};
	if (b)
		s = b->engine.snapshot();
	api::write_sized(out, size, s);
}
