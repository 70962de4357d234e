#pragma once

#include "api/owned.hpp"
#include "jobs/job.hpp"

#include <string>

namespace reframer::lab {

// @throws JobError
inline api::Stage make_stage(const reframer_params &params, const char *code = "failed",
                             int exit_code = 1)
{
	int error;
	api::Stage stage = api::create<api::Stage>(reframer_create, params, &error);
	if (error)
		throw JobError(code, std::string("the stage: ") + reframer_strerror(error), exit_code);
	return stage;
}

} // namespace reframer::lab
