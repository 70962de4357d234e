// A temporary folder of a test, gone with it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace reframer::test {

struct Folder {
	std::filesystem::path path;
	Folder()
	{
		std::string name = std::filesystem::temp_directory_path() / "reframer-test-XXXXXX";
		path = mkdtemp(name.data());
	}
	~Folder() { std::filesystem::remove_all(path); }
	Folder(const Folder &) = delete;
	Folder &operator=(const Folder &) = delete;
	std::string file(const char *name) const { return path / name; }
};

} // namespace reframer::test
