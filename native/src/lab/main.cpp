// reframer-lab JOB [SPEC.json | -]: runs one job; the specification comes from the file or from stdin;
// with `-` it is stdin's first line, and the job reads the others.
// stdout carries JSON lines and nothing else; exit codes are those of the whole suite
// (0 ok, 1 failed, 2 usage, 3 not supported here).
#include "lab/job.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

namespace reframer::lab {

void emit(const Json &record)
{
	std::cout << record.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
}

namespace {

struct Entry {
	const char *name;
	Job run;
};

constexpr Entry jobs[] = {
    {"analyze", run_analyze},
    {"reorder", run_reorder},
    {"trial", run_trial},
    {"bench-reframer", run_bench_reframer},
    {"bench-rsspp", run_bench_rsspp},
    {"generate", run_generate},
    {"calibrate", run_calibrate},
    {"bench-conntrack", run_bench_conntrack},
    {"flows", run_flows},
    {"rss", run_rss},
    {"soak", run_soak},
    {"rsspp-trial", run_rsspp_trial_job},
    {"balance-tap", run_balance_tap},
    {"balance-ethtool", run_balance_ethtool},
};

int report(const char *code, const char *message, int exit_code)
{
	emit({{"error", {{"code", code}, {"message", message}}}});
	return exit_code;
}

int run(int argc, char **argv)
{
	if (argc < 2)
		return report("usage", "usage: reframer-lab JOB [SPEC.json | -]", 2);
	for (const Entry &job : jobs) {
		if (std::strcmp(job.name, argv[1]) != 0)
			continue;
		Json spec;
		if (argc > 2 && std::strcmp(argv[2], "-") == 0) {
			std::setvbuf(stdin, nullptr, _IONBF, 0); // takes no byte of the lines after it
			std::string line;
			std::getline(std::cin, line);
			spec = Json::parse(line);
		} else if (argc > 2) {
			std::ifstream file(argv[2]);
			if (!file)
				return report("bad-spec", "cannot open the specification file", 2);
			spec = Json::parse(file);
		} else {
			spec = Json::parse(std::cin);
		}
		job.run(spec);
		return 0;
	}
	return report("usage", "no such job", 2);
}

} // namespace
} // namespace reframer::lab

int main(int argc, char **argv)
{
	using namespace reframer::lab;
	try {
		return run(argc, argv);
	} catch (const JobError &e) {
		Json error = {{"code", e.code}, {"message", e.what()}};
		if (!e.file.empty())
			error["file"] = e.file;
		if (e.offset >= 0)
			error["offset"] = e.offset;
		emit({{"error", error}});
		return e.exit_code;
	} catch (const Json::exception &e) {
		return report("bad-spec", e.what(), 2);
	} catch (const std::exception &e) {
		return report("failed", e.what(), 1);
	}
}
