// A program of jobs: PROGRAM JOB [SPEC.json | -]. The specification comes from the file or from
// stdin; with `-` it is stdin's first line, and the job reads the others. A specification with
// "checkOnly": true is only read: {"accepted": true}, or the error that it would end with.
// stdout carries JSON lines and nothing else; exit codes are those of the whole suite
// (0 ok, 1 failed, 2 usage, 3 not supported here).
#pragma once

#include "jobs/job.hpp"

#include <span>

namespace reframer::lab {

struct JobEntry {
	const char *name;
	Job run;
};

// What main() returns. Errors end as records on stdout.
int run_program(std::span<const JobEntry> jobs, int argc, char **argv);

} // namespace reframer::lab
