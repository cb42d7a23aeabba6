-- One line of the given file is one driver: a token and, after a space, the ETag the driver knows.
-- Arguments: method, expected status, file, what to do after the last driver ("stop" or "again").
-- With one thread no driver is used twice before all have been used.

local threads = {}
local requests, sent, again = {}, 0, false

unexpected, last_unexpected, exhausted = 0, 0, 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local method, file = args[1], args[3]
  expected, again = tonumber(args[2]), args[4] == "again"
  local body = nil
  if method == "POST" then
    body = '{"profile":{"first_name":"Virgie","last_name":"Luettgen","postcode":"123",' ..
      '"start_date":"2020-03-20T10:02:34.340Z","birth_date":"2000-03-20T10:02:34.340Z",' ..
      '"contact_phone_number":"07856 207372"}}'
  end
  for line in io.lines(file) do
    local token, etag = line:match("^(%S+) ?(.*)$")
    local headers = {
      ["Host"] = wrk.headers["Host"],
      ["Accept"] = "application/json",
      ["Authorization"] = "Bearer " .. token,
    }
    if body then headers["Content-Type"] = "application/json" end
    if etag ~= "" then headers["If-None-Match"] = etag end
    requests[#requests + 1] = wrk.format(method, nil, headers, body)
  end
end

function request()
  if sent == #requests then
    if again then
      sent = 0
    else
      exhausted = 1
      wrk.thread:stop()
      return wrk.format("GET", "/up")
    end
  end
  sent = sent + 1
  return requests[sent]
end

function response(status)
  if status ~= expected and exhausted == 0 then
    unexpected, last_unexpected = unexpected + 1, status
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"broken":%d,"unexpected":%d,' ..
    '"last_unexpected":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.connect + errors.read + errors.write + errors.timeout,
    threads[1]:get("unexpected"), threads[1]:get("last_unexpected")))
end
