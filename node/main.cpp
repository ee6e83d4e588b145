#include "node/commands.hpp"

int main(int count, char** words) {
    auto given = weft::parse_command_line(count, words);
    if (const int* status = std::get_if<int>(&given)) return *status;
    return std::visit([](const auto& one) { return weft::run(one); },
                      std::get<weft::command>(given));
}
