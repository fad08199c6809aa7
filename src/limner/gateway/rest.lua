-- What Envoy's transcoder leaves undone for REST calls. CALLS, made from the descriptor, and `json.lua` stand ahead.
--
-- On a request: the transcoder ignores unknown JSON fields and stops at the first wrong one, often without its name.
-- So the query and the JSON body are checked here. What is wrong is taken out, and told to the service beside the rest:
-- it decides who may ask at all, adds what else is wrong, and refuses everything at once.
-- On a response: gRPC's own headers are hidden, and an error that could not be printed gets a body all the same.

local MAX_PARAMETERS = 64
local MAX_SMALL_BODY_BYTES = 65536
-- The service takes more headers than these: what is added here, and 32 bytes for each, beside what a caller may send.
local MAX_PASSED_BYTES = 4096
local VIOLATIONS = "x-limner-violations-bin"
-- No service takes such a key: one that does not know the violations' header must not do what is left of a request.
local REFUSED_KEY = ("refused "):rep(20)

local function call_of(method, path)
  path = path:gsub("/$", "")
  for _, call in ipairs(CALLS) do
    if call.method == method and path:find(call.path) then return call end
  end
end

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Returns what is left of the query.
local function check_query(query, known, found)
  local seen, left, count = {}, {}, 0
  for pair in query:gmatch("[^&]+") do
    count = count + 1
    if count > MAX_PARAMETERS then
      report(found, "query", "has more than " .. MAX_PARAMETERS .. " parameters")
      break
    end
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = unescape(name), unescape(value)
    local rules = known[name]
    if not rules or rules.bound then
      report(found, name, "is not a query parameter of this call")
    elseif seen[rules.name] then
      report(found, name, "is given twice")
    elseif not fits(rules.kind, "string", value) and not (rules.kind == "bool" and fits("bool", value)) then
      report(found, name, SCALARS[rules.kind])
    else
      left[#left + 1] = pair
    end
    if rules then seen[rules.name] = true end
  end
  return table.concat(left, "&")
end

local function encoded(violations)
  local parts = {}
  for _, each in ipairs(violations) do
    parts[#parts + 1] = each.field:gsub("%z", " ")
    parts[#parts + 1] = each.description
  end
  return table.concat(parts, "\0")
end

-- Answers at once; nothing behind it is run.
local function refuse(handle, status, violations)
  local sentences = {}
  for index, each in ipairs(violations) do sentences[index] = each.field .. ": " .. each.description end
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("limner", "violations", violations)
  metadata:set("limner", "status", tostring(status))
  handle:respond({[":status"] = tostring(status)}, table.concat(sentences, "; "))
end

-- Some HTTP/2 clients lose an answer that comes before they have sent all of a small body.
local function take_small_body(handle)
  local length = tonumber(handle:headers():get("content-length") or "0")
  if length and length > 0 and length <= MAX_SMALL_BODY_BYTES then handle:body() end
end

local function refuse_early(handle, status, field, description)
  take_small_body(handle)
  refuse(handle, status, {{field = field, description = description}})
end

-- HTTP allows more in headers than gRPC, which refuses the whole call for it, in words of its own.
local function is_unspeakable(name, value)
  return name:sub(1, 1) ~= ":" and (name:find("[^%w_.-]") or value:find("[^ -~]"))
end

-- What only the gateway may say, or what means something to gRPC alone, is no caller's of REST.
local function is_internal(name)
  return name:find("^grpc%-") or name:find("%-bin$") or name:find("^x%-limner%-")
end

-- What the service reads is not taken out, or the call would go on without its key: it is refused there.
local REFUSED = {["idempotency-key"] = REFUSED_KEY, authorization = "Bearer ?"}

-- Takes out what must not pass, and returns how many bytes the headers have.
local function sift(headers)
  local internal, size = {}, 0
  for name, value in pairs(headers) do
    size = size + #name + #value
    if is_internal(name) or is_unspeakable(name, value) then internal[#internal + 1] = name end
  end
  for _, name in ipairs(internal) do
    if REFUSED[name] then headers:replace(name, REFUSED[name]) else headers:remove(name) end
  end
  return size
end

-- Returns what is wrong with the type of a body, and with which header.
local function foreign(call, headers)
  local encoding = (headers:get("content-encoding") or ""):lower()
  if encoding ~= "" and encoding ~= "identity" then
    return "content-encoding", "must be absent: a compressed body is not taken"
  end
  local kind, parameters = (headers:get("content-type") or ""):lower():match("^%s*([^;%s]*)%s*(.*)$")
  if kind:find("^application/grpc") then
    return "content-type", "must be that of JSON or a picture: gRPC has paths of its own"
  end
  if kind == "" or not (call.body or call.picture) then return end
  if call.picture then
    if kind:find("^image/") or kind == "application/octet-stream" then return end
    return "content-type", "must be that of a picture, such as image/png: the body is the picture itself"
  end
  local charset = parameters:match('charset%s*=%s*"?([^";%s]*)')
  if kind ~= "application/json" then return "content-type", "must be application/json" end
  if charset and charset ~= "utf-8" and charset ~= "utf8" and charset ~= "us-ascii" then
    return "content-type", "must be application/json in UTF-8"
  end
end

-- Passes what is left of a request on, with what was wrong in a header.
local function pass_on(handle, path, body, found)
  local headers = handle:headers()  -- those from before the body came can't be used any more
  if found.count > 0 then
    headers:replace(VIOLATIONS, handle:base64Escape(encoded(found.list)))
    headers:replace("idempotency-key", REFUSED_KEY)
    headers:replace(":path", path)
  end
  if body then headers:replace("content-length", tostring(handle:body():setBytes(body))) end
end

-- Returns what other filters, or this one before, have told about the request.
local function told(handle)
  return handle:streamInfo():dynamicMetadata():get("limner") or {}
end

-- Over HTTP/2 not before the body's end: what was too large, `drain.lua` has dropped by then.
local function refuse_large(handle)
  if handle:streamInfo():protocol() == "HTTP/2" then handle:body() end
  handle:respond({[":status"] = "413"}, "")
end

local function check(handle)
  local refused = told(handle)
  if refused.status then
    handle:body()  -- its end, of which `drain.lua` leaves nothing
    return handle:respond({[":status"] = refused.status}, refused.refusal or "")
  end
  local headers = handle:headers()
  local size = sift(headers)
  local whole = headers:get(":path") or ""  -- CONNECT has none
  if #whole > MAX_PATH_BYTES then
    return refuse_early(handle, 431, "path", "must have at most " .. MAX_PATH_BYTES .. " bytes, query included")
  end
  local token = headers:get("authorization") or ""
  if #token > MAX_AUTHORIZATION_BYTES then
    return refuse_early(handle, 431, "authorization", "must have at most " .. MAX_AUTHORIZATION_BYTES .. " bytes")
  end
  if size > MAX_HEADERS_BYTES then
    return refuse_early(handle, 431, "headers", "must have at most " .. MAX_HEADERS_BYTES .. " bytes together")
  end
  local path, query = whole:match("^([^?#]*)%??([^#]*)")
  local call = call_of(headers:get(":method"), path)
  if not call then
    take_small_body(handle)
    return handle:respond({[":status"] = "404"}, "")
  end
  if (tonumber(headers:get("content-length") or "0") or 0) > (call.picture and MAX_PICTURE_BYTES or MAX_JSON_BYTES) then
    return refuse_large(handle)
  end
  local header, problem = foreign(call, headers)
  if header then return refuse_early(handle, 415, header, problem) end
  local found = {count = 0, list = {}}
  local query_left = check_query(query, call.query, found)
  local body = call.body and handle:body()
  if told(handle).dropped then return refuse_large(handle) end
  local text = body and body:getBytes(0, body:length())
  local text_left = text and check_body(text, call.body, found)
  if found.count == 0 and text_left == text then return end
  if (body and not text_left) or #encoded(found.list) > MAX_PASSED_BYTES then
    return refuse(handle, 400, found.list)
  end
  pass_on(handle, query_left == "" and path or path .. "?" .. query_left, text_left, found)
end

function envoy_on_request(handle)
  -- What fails here is a fault of ours, but an unchecked request must not pass for that.
  local ok, problem = pcall(check, handle)
  if ok then return end
  handle:logErr("a request could not be checked: " .. tostring(problem))
  handle:respond({[":status"] = "500"}, "")
end

local HIDDEN = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding"}

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char) return ("\\u%04x"):format(char:byte()) end) .. '"'
end

local function message_of(headers)
  return (headers:get("grpc-message") or ""):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
end

local function give_body(handle, headers, text)
  headers:replace("content-type", "application/json")
  handle:body(true):setBytes(text)
  headers:replace("content-length", tostring(#text))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local refused = told(handle).status
  local length = headers:get("x-content-length")
  local native = headers:get(":status") == "200" and (headers:get("content-type") or ""):find("^application/grpc")
  if native and not refused then return end
  if native then
    -- A gRPC content type makes Envoy put its answer into a gRPC status; but on these paths it is no gRPC.
    local text = message_of(headers)
    headers:replace(":status", refused)
    give_body(handle, headers, text)
  elseif
    tonumber(headers:get(":status")) >= 400 and headers:get("content-length") == "0" and headers:get("grpc-status")
  then
    -- The transcoder answers an empty body when the error's details hold a type that is not in the descriptor set.
    local code, message = tonumber(headers:get("grpc-status")) or 2, quote(message_of(headers))
    give_body(handle, headers, ('{"code":%d,"message":%s,"details":[]}'):format(code, message))
  elseif length then
    headers:replace("content-length", length)
    headers:remove("x-content-length")
  end
  for _, name in ipairs(HIDDEN) do headers:remove(name) end
end
