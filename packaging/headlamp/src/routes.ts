/** The names of the plugin's routes. */

/** The list of requests. */
export const LIST_ROUTE = "tlsboot-requests";
/** One request, with the parameter `name`. */
export const REQUEST_ROUTE = "tlsboot-request";
