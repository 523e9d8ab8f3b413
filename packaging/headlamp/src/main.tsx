/** Adds certificate signing requests to Headlamp: a list, and for each request what tlsboot says about it. */
import { LIST_ROUTE, REQUEST_ROUTE, RequestList } from "./list.tsx";
import { pluginLib } from "./plugin_lib.ts";
import { RequestPage } from "./request.tsx";

pluginLib.registerSidebarEntry({
  parent: "cluster",
  name: LIST_ROUTE,
  label: "Certificate requests",
  url: "/certificate-requests",
});
pluginLib.registerRoute({
  path: "/certificate-requests",
  exact: true,
  name: LIST_ROUTE,
  sidebar: LIST_ROUTE,
  component: RequestList,
});
pluginLib.registerRoute({
  path: "/certificate-requests/:name",
  exact: true,
  name: REQUEST_ROUTE,
  sidebar: LIST_ROUTE,
  component: RequestPage,
});
