// Any text as the specification of any job of reframer-lab: it is accepted, or refused with one
// message that says what and where. Nothing runs: `checkOnly` is put into whatever is an object.
// The first byte of an input names the job, the rest is the text.

// The program's own table of jobs, whatever is in it today.
#define main reframer_lab_main
#include "lab/main.cpp"
#undef main

#include "bytes.hpp"
#include "jobs/spec_reader.hpp"

#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using reframer::fuzz::expect;
	if (size < 2 || size > 4096)
		return 0;
	const JobEntry &job = jobs[data[0] % std::size(jobs)];
	Json spec;
	try {
		spec = Json::parse(data + 1, data + size);
	} catch (const Json::exception &) {
		return 0; // run_program() says where
	}
	if (spec.is_object())
		spec["checkOnly"] = true;
	try {
		job.run(spec);
		expect(false, "spec", "a job ran");
	} catch (const SpecAccepted &) {
	} catch (const JobError &e) {
		expect(!e.code.empty() && std::string_view(e.what()).size() > 10, "spec",
		       "an error without words");
		expect(e.exit_code >= 1 && e.exit_code <= 3, "spec", "exit code");
	}
	return 0;
}
