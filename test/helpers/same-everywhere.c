// What must come out the same on every processor: the order in which packets leave, what is found in
// tables, what is moved. Prints a hash of each.
#include <reframer/conntrack_shared.h>
#include <reframer/per_run.h>
#include <reframer/rsspp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURST = 32, ROUNDS = 3000, FLOWS = 5000 };

static uint64_t seed = 1, hash;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % limit);
}

static void note(uint64_t value)
{
	hash = (hash ^ value) * 1099511628211u;
}

static void told(const char *what)
{
	printf("%s %016llx\n", what, (unsigned long long)hash);
	hash = 14695981039346656037u;
}

static void note_run(void *context, void *const *packets, uint32_t nb,
                     const struct reframer_run *run)
{
	(void)context;
	note(nb);
	note(run ? run->hash : 0);
	for (uint32_t i = 0; i < nb; i++)
		note((uintptr_t)packets[i]);
}

static void stage(uint32_t early)
{
	struct reframer_params params;
	reframer_default_params(&params);
	params.max_packets = 512;
	params.max_burst = 8;
	params.hash_seed = 7;
	params.early = early; // headers are read
	static uint8_t frames[FLOWS][64];
	struct reframer_stage *stage;
	if (reframer_create(&params, &stage) != 0)
		exit(1);
	uintptr_t number = 1;
	for (uint64_t round = 0, now = 0; round < ROUNDS; round++, now += random_below(20000)) {
		void *in[BURST], *out[2 * BURST];
		const uint8_t *data[BURST];
		uint32_t nic[BURST], captured[BURST];
		for (int i = 0; i < BURST; i++) {
			const uint32_t flow = random_below(round % 2 ? 60 : FLOWS);
			uint8_t *frame = frames[flow];
			memcpy(frame + 12, "\x08\x00\x45\x00\x00\x32\x00\x00\x40\x00\x40\x06", 12);
			memcpy(frame + 26, &flow, 4);
			frame[46] = 0x50;
			frame[47] = flow % 16 == 0 ? 0x11 : 0x10;
			in[i] = (void *)number++;
			data[i] = frame;
			captured[i] = 64;
			nic[i] = flow * 2654435761u;
		}
		const struct reframer_burst burst = {in, data, captured, NULL, early ? NULL : nic, BURST};
		note(reframer_push(stage, &burst, now));
		for (uint32_t n = 2 * BURST; n == 2 * BURST;) {
			struct reframer_run runs[2 * BURST];
			uint32_t nb_runs = 2 * BURST;
			n = reframer_poll(stage, now, out, 2 * BURST, runs, &nb_runs);
			reframer_per_run(runs, nb_runs, out, n, note_run, NULL);
		}
	}
	reframer_free(stage);
	told(early ? "stage, by headers" : "stage, by hashes");
}

static void tables(void)
{
	struct conntrack_params params;
	conntrack_default_params(&params);
	params.initial_flows = 256; // grows
	params.seed = 5;
	struct conntrack_table *table;
	struct conntrack_shared *shared;
	if (conntrack_create(&params, &table) != 0 || conntrack_shared_create(&params, &shared) != 0)
		exit(1);
	struct conntrack_thread *thread = conntrack_shared_thread_create(shared);
	for (uint64_t round = 0, now = 0; round < ROUNDS; round++, now += random_below(300000000)) {
		uint32_t keys[BURST][4] = {{0}};
		uint64_t states[BURST];
		void *at[BURST];
		uint8_t results[BURST];
		for (int i = 0; i < BURST; i++) {
			keys[i][0] = random_below(FLOWS);
			states[i] = round;
		}
		note(conntrack_find_or_insert_burst(table, keys, NULL, BURST, now, at, results));
		for (int i = 0; i < BURST; i++) {
			note(results[i]);
			note(*(uint64_t *)at[i]);
			*(uint64_t *)at[i] += round;
		}
		note(conntrack_remove_burst(table, keys, NULL, 2, now));
		note(
			conntrack_shared_find_or_insert_burst(thread, keys, NULL, BURST, now, states, results));
		for (int i = 0; i < BURST; i++) {
			note(results[i]);
			note(states[i]);
		}
		note(conntrack_shared_remove_burst(thread, keys, NULL, 2, now, NULL));
		conntrack_expire(table, now, 8);
		conntrack_shared_expire(thread, now, 8);
	}
	conntrack_shared_free(shared);
	conntrack_free(table);
	told("tables");
}

static void moves(void)
{
	struct rsspp_balancer_params params;
	rsspp_balancer_default_params(&params);
	params.nb_buckets = 128;
	params.nb_cores = 4;
	struct rsspp_balancer *balancer;
	if (rsspp_balancer_create(&params, &balancer) != 0)
		exit(1);
	uint64_t packets[128] = {0};
	for (int epoch = 0; epoch < 20; epoch++) {
		// Whole numbers and halves: sums that no processor rounds.
		const float load[4] = {1, 0.5f, 0.25f, 0.75f};
		for (int b = 0; b < 128; b++)
			packets[b] += 1024 * (1 + random_below(8));
		const struct rsspp_epoch e = {.packets = packets, .core_load = load};
		struct rsspp_move to[128];
		struct rsspp_report report;
		const int n = rsspp_balancer_step(balancer, &e, to, &report);
		note((uint64_t)(n > 0));
	}
	rsspp_balancer_free(balancer);
	told("moves");
}

int main(void)
{
	told("begin");
	stage(0);
	stage(REFRAMER_EARLY_FIN);
	tables();
	moves();
	puts(reframer_version());
	return 0;
}
