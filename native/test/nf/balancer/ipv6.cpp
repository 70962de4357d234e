// What only IPv6 has: extension headers, neighbours, errors that say what is too big.
#include "world.hpp"

using namespace world;

namespace {

struct Six {
	Six()
	{
		balancer_params p = Box::defaults();
		std::copy_n(frames::six(service).begin(), 16, p.service6);
		balancer *made = nullptr;
		REQUIRE(balancer_create(&p, &made) == 0);
		b.reset(made);
		for (uint32_t i = 0; i < 4; i++) {
			balancer_server s;
			balancer_default_server(&s);
			put_address(s.address, server_net + i);
			std::copy_n(frames::six(server_net + i).begin(), 16, s.address6);
			REQUIRE(balancer_add(made, &s) == static_cast<int>(i));
		}
	}
	balancer_frame pass(Frame &f)
	{
		balancer_frame given{f.data(), static_cast<uint32_t>(f.size()), 0, 0};
		balancer_process(b.get(), &given, 1, second);
		return given;
	}
	struct Free {
		void operator()(balancer *x) const { balancer_free(x); }
	};
	std::unique_ptr<balancer, Free> b;
};

// Extension headers between IPv6 and what follows.
Frame with_extensions(const Frame &f, const std::vector<Frame> &headers)
{
	Frame out = f;
	uint8_t next = out[20];
	size_t at = 54;
	for (size_t i = headers.size(); i-- > 0;) {
		Frame h(headers[i].begin() + 1, headers[i].end()); // its own number comes first
		h[0] = next;
		next = headers[i][0];
		out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), h.begin(), h.end());
	}
	out[20] = next;
	frames::put16(&out[18], static_cast<uint32_t>(out.size() - 54));
	return out;
}

uint32_t last_word(const Frame &f, size_t at)
{
	return get32(&f[at + 12]);
}

} // namespace

TEST_CASE("a segment behind extension headers is one, and keeps its sum")
{
	Six six;
	const Frame plain = frames::frame6(tcp(client_net, 5, service, 80, 2, {{{7, 0}}}));
	Frame syn = plain;
	const uint32_t server = six.pass(syn).server;
	const Frame hop{0, 0, 0, 5, 2, 0, 0, 1, 0},
		options{60, 0, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		routed{43, 0, 0, 4, 0, 0, 0, 0, 0};
	const std::vector<std::vector<Frame>> chains{
		{hop}, {options}, {hop, options}, {routed, options}};
	for (const auto &headers : chains) {
		Frame f = with_extensions(plain, headers);
		const balancer_frame out = six.pass(f);
		CHECK(out.verdict == BALANCER_TO_SERVER);
		CHECK(out.server == server); // the same SYN again
		CHECK(last_word(f, 38) == server_net + server);
		const size_t l4 = f.size() - (plain.size() - 54);
		CHECK(frames::sum6(&f[14], 6, &f[l4], f.size() - l4) == 0xffff);
	}
	// On its way to another host, by a routing header: not touched.
	Frame underway = routed;
	underway[4] = 1;
	Frame f = with_extensions(plain, {underway}), before = f;
	CHECK(six.pass(f).verdict == BALANCER_OTHER);
	CHECK(f == before);
	f = with_extensions(plain, std::vector<Frame>(12, hop));
	CHECK(six.pass(f).verdict == BALANCER_DROP);
	for (size_t n = 15; n < plain.size() - 40; n++) {
		f = with_extensions(plain, {hop});
		f.resize(n);
		f.shrink_to_fit();
		const uint32_t verdict = six.pass(f).verdict;
		CHECK((verdict == BALANCER_DROP || n >= 54 + 8 + 20));
	}
}

TEST_CASE("neighbours and routers are found past the balancer, also by its servers")
{
	Six six;
	Frame echo =
		frames::frame6(frames::build_error(client_net, service, tcp(1, 1, 2, 2, 2), 40, 8));
	REQUIRE(echo[54] == 128);
	for (int type = 128; type < 160; type++) {
		Frame f = echo;
		f[54] = static_cast<uint8_t>(type);
		frames::put16(&f[56], 0);
		frames::put16(&f[56], ~frames::sum6(&f[14], 58, &f[54], f.size() - 54));
		const Frame before = f;
		const bool link = type >= 133 && type <= 137;
		CHECK(six.pass(f).verdict == (link ? BALANCER_OTHER : BALANCER_TO_SERVER));
		if (link)
			CHECK(f == before);
		else
			CHECK(frames::sum6(&f[14], 58, &f[54], f.size() - 54) == 0xffff);
		f = before;
		std::copy_n(frames::six(server_net).begin(), 16, &f[22]);
		std::copy_n(frames::six(client_net).begin(), 16, &f[38]);
		CHECK(six.pass(f).verdict == (link ? BALANCER_OTHER : BALANCER_TO_CLIENT));
	}
}

TEST_CASE("what is too big for a link reaches the server that sent it")
{
	Six six;
	Frame syn = frames::frame6(tcp(client_net, 9, service, 80, 2));
	const uint32_t server = six.pass(syn).server;
	Frame answer = frames::frame6(tcp(server_net + server, 80, client_net, 9, 0x12));
	REQUIRE(six.pass(answer).verdict == BALANCER_TO_CLIENT);
	// A router on the way to the client quotes it as it left here.
	const Frame seen = tcp(service, 80, client_net, 9, 0x12);
	Frame error = frames::frame6(frames::build_error(0x01020304, service, seen, 200, 3));
	error[54] = 2;
	error[55] = 0;
	frames::put32(&error[58], 1280);
	frames::put16(&error[56], 0);
	frames::put16(&error[56], ~frames::sum6(&error[14], 58, &error[54], error.size() - 54));
	const balancer_frame out = six.pass(error);
	CHECK(out.verdict == BALANCER_TO_SERVER);
	CHECK(out.server == server);
	CHECK(last_word(error, 38) == server_net + server);
	CHECK(last_word(error, 62 + 8) == server_net + server);
	CHECK(frames::sums_right6(&error[14], error.size() - 14));
	CHECK(get32(&error[58]) == 1280);
}
