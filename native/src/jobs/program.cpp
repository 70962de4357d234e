#include "jobs/program.hpp"
#include "jobs/spec_reader.hpp"

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

int report(const char *code, const char *message, int exit_code)
{
	emit({{"error", {{"code", code}, {"message", message}}}});
	return exit_code;
}

int run(std::span<const JobEntry> jobs, int argc, char **argv)
{
	if (argc < 2)
		return report("usage", "usage: JOB [SPEC.json | -]", 2);
	for (const JobEntry &job : jobs) {
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

int run_program(std::span<const JobEntry> jobs, int argc, char **argv)
{
	try {
		return run(jobs, argc, argv);
	} catch (const SpecAccepted &) {
		emit({{"accepted", true}});
		return 0;
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

} // namespace reframer::lab
