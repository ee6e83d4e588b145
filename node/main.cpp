#include "node/commands.hpp"

#include <cstdio>
#include <exception>

int main(int count, char** words) try {
    auto given = weft::parse_command_line(count, words);
    if (const int* status = std::get_if<int>(&given)) return *status;
    return std::visit([](const auto& one) { return weft::run(one); },
                      std::get<weft::command>(given));
} catch (const std::exception& why) { // no memory left, most likely
    std::fprintf(stderr, "weft: %s\n", why.what());
    return weft::data_problem;
}
