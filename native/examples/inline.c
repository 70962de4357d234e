/*
 * Reframer inline, without DPDK: a function is called once a run of a flow's packets.
 *
 *     cc inline.c $(pkg-config --cflags --libs reframer) && ./a.out
 */
#include <reframer/per_run.h>
#include <stdio.h>

#define BURST 4
#define ROOM 32

/* What a network function does once a run: find the flow's state. Here packets are their names. */
static void work(void *context, void *const *packets, uint32_t nb, const struct reframer_run *run)
{
	(void)context;
	(void)run;
	printf("run of %u: %s ...\n", nb, (const char *)packets[0]);
}

int main(void)
{
	/* A burst as it came, flows mixed: handles of packets, their lengths, and the NIC's hashes. */
	void *packets[BURST] = {"a1", "b1", "a2", "b2"}, *out[ROOM];
	uint32_t length[BURST] = {60, 60, 60, 60}, nic_hash[BURST] = {1, 2, 1, 2}, nb_runs = ROOM;
	struct reframer_run runs[ROOM];
	struct reframer_params params;
	struct reframer_stage *stage;

	reframer_default_params(&params);          /* T = 64 us */
	if (reframer_create(&params, &stage) != 0) /* one per queue */
		return 1;
	struct reframer_burst burst = {packets, NULL, NULL, length, nic_hash, BURST};
	reframer_push(stage, &burst, 0); /* now, in ns of any monotonic clock */
	uint32_t nb = reframer_poll(stage, 64000, out, ROOM, runs, &nb_runs);
	reframer_per_run(runs, nb_runs, out, nb, work, NULL); /* work() once per run */
	reframer_free(stage);
	return nb == BURST ? 0 : 1;
}
