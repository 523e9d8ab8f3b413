// The columns of Grafana's grid.
local COLUMNS = 24;

{
  local config = $._config,
  local source = { type: 'prometheus', uid: '${datasource}' },
  local target(expr, legend) = {
    refId: 'A',
    datasource: source,
    expr: std.strReplace(expr, '$tlsboot', config.tlsbootSelector + ', instance=~"$instance"'),
    legendFormat: legend,
  },
  local panel(type, title, description, unit, targets, width, height) = {
    type: type,
    title: title,
    description: description,
    datasource: source,
    targets: std.mapWithIndex(function(index, one) one { refId: std.char(std.codepoint('A') + index) }, targets),
    fieldConfig: { defaults: { unit: unit, min: 0 }, overrides: [] },
    gridPos: { w: width, h: height },
  },
  // A number that should be zero, or one that says how things are.
  local number(title, description, unit, expr, steps=[], calculation='lastNotNull') =
    panel('stat', title, description, unit, [target(expr, '')], 4, 4) {
      fieldConfig+: {
        defaults+: { color: { mode: 'thresholds' }, thresholds: { mode: 'absolute', steps: steps } },
      },
      options: {
        reduceOptions: { calcs: [calculation], fields: '', values: false },
        graphMode: 'none',
        colorMode: 'value',
        justifyMode: 'auto',
        textMode: 'value',
        wideLayout: true,
        showPercentChange: false,
        percentChangeColorMode: 'standard',
        orientation: 'auto',
      },
    },
  local zeroIsGood(color) = [{ value: null, color: 'green' }, { value: 1, color: color }],
  local graph(title, description, unit, targets, width=8) =
    panel('timeseries', title, description, unit, targets, width, 7) {
      options: {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },
  local quantile(metric, labels) =
    'histogram_quantile(0.99, sum by (%s) (rate(%s_bucket{$tlsboot}[$__rate_interval])))' % [labels + 'le', metric],

  local panels = [
    number('Processes', 'Processes that answer.', 'none', 'sum(up{$tlsboot})'),
    number(
      'Wait for approval',
      'Requests that wait for an approval.',
      'none',
      'max(tlsboot_waiting_requests{$tlsboot, waits_for="approval", at_least="0s"})',
      zeroIsGood('orange'),
    ),
    number(
      'Wait for a signature',
      'Approved requests without a certificate.',
      'none',
      'max(tlsboot_waiting_requests{$tlsboot, waits_for="signature", at_least="0s"})',
      zeroIsGood('orange'),
    ),
    number(
      'Not renewed',
      'Certificates past nine tenths of their life.',
      'none',
      'max(sum by (instance) (tlsboot_issued_certificates_overdue{$tlsboot}))',
      zeroIsGood('red'),
    ),
    number(
      'CA and serving certificate',
      'The time until the first of them ends.',
      's',
      'min(tlsboot_own_certificate_expiry_timestamp_seconds{$tlsboot}) - time()',
      [{ value: null, color: 'red' }, { value: config.servingDays * 86400, color: 'green' }],
    ),
    number(
      'Revoked credentials refused',
      'In the last day.',
      'none',
      'round(sum(increase(tlsboot_revoked_credentials_refused_total{$tlsboot}[1d]))) or vector(0)',
      zeroIsGood('red'),
    ),
    graph('Issued certificates', 'Certificates a minute, by signer.', 'none', [
      target('sum by (signer) (rate(tlsboot_certificates_issued_total{$tlsboot}[$__rate_interval])) * 60', '{{signer}}'),
    ]),
    graph('Valid certificates', 'By the time that they are still valid.', 'none', [
      target('sum by (ends_within) (tlsboot_issued_certificates{$tlsboot})', '{{ends_within}}'),
    ]),
    graph('Requests that wait', 'By what they wait for, and for how long.', 'none', [
      target('max by (waits_for, at_least) (tlsboot_waiting_requests{$tlsboot})', '{{waits_for}} {{at_least}}'),
    ]),
    graph('Requests to the API', 'Requests a second, by status code.', 'reqps', [
      target('sum by (code) (rate(apiserver_request_total{$tlsboot}[$__rate_interval]))', '{{code}}'),
    ]),
    graph('Time of requests', '99 of 100 requests are faster, without watches.', 's', [
      target(quantile('apiserver_request_duration_seconds', 'verb, '), '{{verb}}'),
    ]),
    graph('Authentication', 'Attempts a second, by result.', 'reqps', [
      target('sum by (result) (rate(authentication_attempts{$tlsboot}[$__rate_interval]))', '{{result}}'),
    ]),
    graph('Time of commits', '99 of 100 commits are faster.', 's', [
      target(quantile('tlsboot_storage_commit_duration_seconds', 'instance, '), '{{instance}}'),
    ]),
    graph('Free space', 'On the disk of the database.', 'bytes', [
      target('tlsboot_storage_disk_free_bytes{$tlsboot}', '{{instance}}'),
    ]),
    graph('Objects', 'Stored objects, by resource.', 'none', [
      target('max by (resource) (apiserver_resource_objects{$tlsboot})', '{{resource}}'),
    ]),
    graph('Queues of controllers', 'Names that wait.', 'none', [
      target('sum by (name) (workqueue_depth{$tlsboot})', '{{name}}'),
    ]),
    graph('Memory', 'Of each process.', 'bytes', [
      target('process_resident_memory_bytes{$tlsboot}', '{{instance}}'),
    ]),
    graph('Processor', 'Cores that each process uses.', 'none', [
      target('rate(process_cpu_seconds_total{$tlsboot}[$__rate_interval])', '{{instance}}'),
    ]),
  ],
  // Panels fill rows from the left.
  local place(done, one) =
    local last = done[std.length(done) - 1].gridPos;
    local next = if std.length(done) == 0 then { x: 0, y: 0 }
    else if last.x + last.w + one.gridPos.w <= COLUMNS then { x: last.x + last.w, y: last.y }
    else { x: 0, y: last.y + last.h };
    done + [one { id: std.length(done) + 1, gridPos+: next }],

  grafanaDashboards+:: {
    'tlsboot.dashboard.json': {
      uid: config.dashboardUid,
      title: 'tlsboot',
      tags: config.dashboardTags,
      description: 'Requests, certificates, the API, the database and the controllers of tlsboot.',
      editable: true,
      graphTooltip: 1,
      schemaVersion: 39,
      refresh: '1m',
      timezone: 'browser',
      time: { from: 'now-6h', to: 'now' },
      annotations: { list: [] },
      templating: {
        list: [
          { type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', hide: 0 },
          {
            type: 'query',
            name: 'instance',
            label: 'Instance',
            datasource: source,
            query: 'label_values(up{%s}, instance)' % config.tlsbootSelector,
            includeAll: true,
            multi: true,
            allValue: '.*',
            refresh: 2,
            sort: 1,
            hide: 0,
          },
        ],
      },
      panels: std.foldl(place, panels, []),
    },
  },
}
