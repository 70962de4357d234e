// A job is one thing that `reframer-lab` can do: specification in (JSON), records out (JSON lines).
#pragma once

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>

namespace reframer::lab {

using Json = nlohmann::json;

// Prints one record as one line on stdout and flushes it: the harness reads it while we run.
void emit(const Json &record);

// What a job reports when it cannot go on. `code` is stable and machine-readable
// ("capture-damaged", "bad-spec", "not-supported"); main() prints it as a record
// {"error": {"code", "message", "file"?, "offset"?}} and exits with `exit_code`.
class JobError : public std::runtime_error {
public:
	JobError(std::string code, const std::string &message, int exit_code = 1)
		: std::runtime_error(printable(message)), code(std::move(code)), exit_code(exit_code)
	{
	}
	std::string code;
	int exit_code;
	std::string file;
	int64_t offset = -1;

private:
	// Messages quote what was given; a NUL in it would end them.
	static std::string printable(const std::string &message)
	{
		std::string shown;
		for (const char c : message)
			shown += static_cast<unsigned char>(c) < ' '
			             ? std::string("\\") + std::to_string(int(c))
			             : std::string(1, c);
		return shown;
	}
};

using Job = void (*)(const Json &spec);

// One a file: analyze.cpp, reorder.cpp, generate.cpp, reframer/bench.cpp, trial.cpp, ...
// main.cpp holds the table of names.
void run_analyze(const Json &spec);
void run_reorder(const Json &spec);
void run_generate(const Json &spec);
void run_calibrate(const Json &spec);
void run_bench_reframer(const Json &spec);
void run_trial(const Json &spec);
void run_validate(const Json &spec);
void run_bench_rsspp(const Json &spec);
void run_bench_conntrack(const Json &spec);
void run_chains(const Json &spec);
void run_conntrack_load(const Json &spec);
void run_conntrack_lb(const Json &spec);
void run_conntrack_expiry(const Json &spec);
void run_conntrack_threads(const Json &spec);
void run_conntrack_growth(const Json &spec);
void run_conntrack_memory(const Json &spec);
void run_conntrack_rate(const Json &spec);
void run_conntrack_hostile(const Json &spec);
void run_flows(const Json &spec);
void run_rss(const Json &spec);
void run_soak(const Json &spec);
void run_telemetry(const Json &spec);
void run_rsspp_trial_job(const Json &spec);
void run_robustness_trial(const Json &spec);
void run_robustness_tables(const Json &spec);
void run_pipeline_job(const Json &spec);
void run_rsspp_state(const Json &spec);
void run_rsspp_tap(const Json &spec);
void run_balance_tap(const Json &spec);
void run_balance_ethtool(const Json &spec);
void run_linux_send(const Json &spec);
void run_linux_sink(const Json &spec);
void run_watch(const Json &spec);

} // namespace reframer::lab
