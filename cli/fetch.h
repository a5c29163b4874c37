// fetch.h: models from the catalogue.

#pragma once

#include <stdbool.h>

// Prints the catalogue, and what of it is installed. Returns the program's exit status.
int list_catalogue(bool json);

// Fetches a model into a folder of its name below `into`; NULL: the user's models. What is there already
// and right stays. Returns the program's exit status.
int fetch_model(const char *name, const char *into, double silence_s, bool json);
