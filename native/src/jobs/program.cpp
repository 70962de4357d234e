#include "jobs/program.hpp"

#include "devices/table_device.hpp"
#include "jobs/spec_reader.hpp"
#include "traffic/capture_error.hpp"

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

int report(const JobError &e)
{
	Json error = {{"code", e.code}, {"message", e.what()}};
	if (!e.file.empty())
		error["file"] = e.file;
	if (e.offset >= 0)
		error["offset"] = e.offset;
	emit({{"error", error}});
	return e.exit_code;
}

JobError job_error(const traffic::CaptureError &e)
{
	JobError error(e.code, e.what());
	error.file = e.file;
	error.offset = e.offset;
	return error;
}

// Exit code 3 where the machine or device has no such thing.
JobError job_error(const engine::DeviceError &e)
{
	return JobError(e.unsupported ? "not-supported" : e.code, e.what(),
	                e.unsupported          ? 3
	                : e.code == "bad-spec" ? 2
	                                       : 1);
}

int run(std::span<const JobEntry> jobs, int argc, char **argv)
{
	if (argc < 2)
		return report({"usage", "usage: JOB [SPEC.json | -]", 2});
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
				return report({"bad-spec", "cannot open the specification file", 2});
			spec = Json::parse(file);
		} else {
			spec = Json::parse(std::cin);
		}
		job.run(spec);
		return 0;
	}
	return report({"usage", "no such job", 2});
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
		return report(e);
	} catch (const traffic::CaptureError &e) {
		return report(job_error(e));
	} catch (const engine::DeviceError &e) {
		return report(job_error(e));
	} catch (const Json::exception &e) {
		return report({"bad-spec", e.what(), 2});
	} catch (const std::exception &e) {
		return report({"failed", e.what()});
	}
}

} // namespace reframer::lab
