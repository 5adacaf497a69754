/* Allocation that ends the process with a message instead of returning NULL. */
#ifndef FLEET_MEM_H
#define FLEET_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);               /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; aborts on overflow */
void *mem_resize(void *block, size_t count, size_t size);
char *mem_strdup(const char *text); /* NULL gives NULL */
char *mem_strndup(const char *text, size_t length);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One text behind the other. For secrets: unlike mem_printf it leaves no copy behind. */
char *mem_join(const char *first, const char *second);

#endif
