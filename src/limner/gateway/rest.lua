-- What Envoy's transcoder leaves undone for REST calls. CALLS and MESSAGES, made from the descriptor, stand ahead.
--
-- On a request: the transcoder ignores unknown JSON fields and stops at the first wrong one, often without its name.
-- So the query and the JSON body are checked here. What is wrong is taken out, and told to the service beside the rest:
-- it decides who may ask at all, adds what else is wrong, and refuses everything at once.
-- On a response: gRPC's own headers are hidden, and an error that could not be printed gets a body all the same.

local MAX_VIOLATIONS = 20
local MAX_DEPTH = 32
local MAX_NAME_BYTES = 200
-- The service takes 8 KiB of headers, whose largest are the access token and, in base64, the violations.
local MAX_PASSED_BYTES = 4096
local VIOLATIONS = "x-limner-violations-bin"
-- No service takes such a key: one that does not know the violations' header must not do what is left of a request.
local REFUSED_KEY = ("refused "):rep(20)
local RANGES = {
  int32 = {-2147483648, 2147483647},
  uint32 = {0, 4294967295},
}
local SCALARS = {
  string = "must be a string",
  bytes = "must be a string of base64",
  bool = "must be true or false",
  double = "must be a number",
  int32 = "must be an integer from -2147483648 to 2147483647",
  uint32 = "must be an integer from 0 to 4294967295",
}

local function call_of(method, path)
  path = path:gsub("/$", "")
  for _, call in ipairs(CALLS) do
    if call.method == method and path:find(call.path) then return call end
  end
end

-- `found` counts all violations, and lists the first ones.
local function report(found, field, description)
  found.count = found.count + 1
  if found.count > MAX_VIOLATIONS then return end
  if #field > MAX_NAME_BYTES then field = field:sub(1, MAX_NAME_BYTES) .. "..." end
  found.list[found.count] = {field = field, description = description}
end

local function is_number_of(kind, text)
  local number = tonumber(text)
  local range = RANGES[kind]
  if not number or text:find("^[%s+]") or text:find("[xXnN]") then return false end
  return not range or (number % 1 == 0 and number >= range[1] and number <= range[2])
end

-- Reads JSON by recursive descent. Every reader takes a position in the text and returns the one behind what it read;
-- one that can't go on raises the position as an error. `rules` are what the value must be; nil: anything.
local Reader = {}
Reader.__index = Reader

function Reader:skip(at)
  return self.text:find("[^ \t\r\n]", at) or #self.text + 1
end

function Reader:string(at)
  local from = at + 1
  while true do
    local stop = self.text:find('[%c"\\]', from)
    local byte = stop and self.text:byte(stop)
    if byte == 34 then return stop + 1, self.text:sub(at + 1, stop - 1) end
    if byte ~= 92 and byte ~= 127 then error({at = stop or #self.text + 1}) end
    from = stop + (byte == 92 and 2 or 1)
  end
end

function Reader:scalar(at)
  local byte = self.text:sub(at, at)
  if byte == '"' then
    local behind, text = self:string(at)
    return behind, "string", text
  end
  local word = self.text:match("^%l+", at)
  if word == "true" or word == "false" or word == "null" then return at + #word, word, word end
  local number = self.text:match("^%-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not number or not tonumber(number) or number:find("^%-?0%d") or number:find("%.$") then error({at = at}) end
  return at + #number, "number", number
end

function Reader:check_scalar(kind, found, text, field)
  if found == "null" or kind == nil then return end
  local fits = found == kind
    or (kind == "bytes" and found == "string")
    or (kind == "bool" and (found == "true" or found == "false"))
    or ((RANGES[kind] or kind == "double") and (found == "number" or found == "string") and is_number_of(kind, text))
  if not fits then report(self.found, field, SCALARS[kind] or "must be an object") end
end

function Reader:value(at, rules, field, depth)
  at = self:skip(at)
  if depth > MAX_DEPTH then error({at = at}) end
  local byte = self.text:sub(at, at)
  local expected = rules and (rules.list and "[" or rules.message and "{")
  if (byte == "{" or byte == "[") and rules and byte ~= expected then
    report(self.found, field, rules.list and "must be a list" or SCALARS[rules.kind] or "must be an object")
    rules = nil
  end
  if byte == "{" then return self:object(at, rules and MESSAGES[rules.message], field, depth) end
  if byte == "[" then return self:list(at, rules and rules.list, field, depth) end
  local behind, found, text = self:scalar(at)
  if rules and rules.list then
    if found ~= "null" then report(self.found, field, "must be a list") end
  elseif rules then
    self:check_scalar(rules.kind or "message", found, text, field)
  end
  return behind
end

function Reader:list(at, rules, field, depth)
  local index = 0
  at = self:skip(at + 1)
  if self.text:sub(at, at) == "]" then return at + 1 end
  while true do
    at = self:skip(self:value(at, rules, field .. "[" .. index .. "]", depth + 1))
    local byte = self.text:sub(at, at)
    if byte == "]" then return at + 1 end
    if byte ~= "," then error({at = at}) end
    index = index + 1
    at = at + 1
  end
end

function Reader:member(key, known, field, seen)
  local rules = known and known[key]
  if not known then return end
  if not rules then return report(self.found, field, "is not a field of this request") end
  if rules.bound then return report(self.found, field, "is given by the path, not by the body") end
  if seen[rules.name] then return report(self.found, field, "is given twice") end
  if rules.oneof and seen[rules.oneof] then report(self.found, field, "excludes " .. seen[rules.oneof]) end
  seen[rules.name] = true
  if rules.oneof then seen[rules.oneof] = key end
  return rules
end

-- Remembers that a member's value is to be taken out, and whatever was to be taken out of it.
function Reader:cut(from, behind)
  while #self.cuts > 0 and self.cuts[#self.cuts].from >= from do self.cuts[#self.cuts] = nil end
  self.cuts[#self.cuts + 1] = {from = from, behind = behind}
end

-- Returns the text with null, which counts as absent, in the place of each value that is to be taken out.
function Reader:mended()
  local parts, at = {}, 1
  for _, cut in ipairs(self.cuts) do
    parts[#parts + 1] = self.text:sub(at, cut.from - 1) .. "null"
    at = cut.behind
  end
  return table.concat(parts) .. self.text:sub(at)
end

function Reader:object(at, known, field, depth)
  local seen = {}
  at = self:skip(at + 1)
  if self.text:sub(at, at) == "}" then return at + 1 end
  while true do
    local key
    if self.text:sub(at, at) ~= '"' then error({at = at}) end
    at, key = self:string(at)
    at = self:skip(at)
    if self.text:sub(at, at) ~= ":" then error({at = at}) end
    local path = field == "" and key or field .. "." .. key
    local count, from = self.found.count, self:skip(at + 1)
    local rules = self:member(key, known, path, seen)
    local wanted = self.found.count == count
    local behind = self:value(from, rules, path, depth + 1)
    local mended = wanted and rules and rules.message and self.text:sub(from, from) == "{"
    if self.found.count > count and not mended then self:cut(from, behind) end
    at = self:skip(behind)
    local byte = self.text:sub(at, at)
    if byte == "}" then return at + 1 end
    if byte ~= "," then error({at = at}) end
    at = self:skip(at + 1)
  end
end

-- Returns what is left of the body; nothing when it is not JSON, which is reported alone.
local function check_body(text, known, found)
  local reader = setmetatable({text = text, found = found, cuts = {}}, Reader)
  local start = reader:skip(1)
  if start > #text then return text end
  if text:sub(start, start) ~= "{" then return report(found, "body", "must be a JSON object") end
  local ok, stop = pcall(reader.object, reader, start, known, "", 0)
  local behind = ok and reader:skip(stop)
  if ok and behind <= #text then ok, stop = false, {at = behind} end
  if not ok and type(stop) ~= "table" then error(stop) end
  if ok then return found.count == 0 and text or reader:mended() end
  found.count, found.list = 0, {}
  report(found, "body", "is not valid JSON at byte " .. stop.at)
end

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Returns what is left of the query.
local function check_query(query, known, found)
  local seen, left = {}, {}
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = unescape(name), unescape(value)
    local rules = known[name]
    if not rules or rules.bound then
      report(found, name, "is not a query parameter of this call")
    elseif seen[rules.name] then
      report(found, name, "is given twice")
    elseif RANGES[rules.kind] and not is_number_of(rules.kind, value) then
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

local function refuse(handle, violations)
  local sentences = {}
  for index, each in ipairs(violations) do sentences[index] = each.field .. ": " .. each.description end
  handle:streamInfo():dynamicMetadata():set("limner", "violations", violations)
  handle:respond({[":status"] = "400"}, table.concat(sentences, "; "))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if (headers:get("content-type") or ""):find("^application/grpc") then
    return handle:streamInfo():dynamicMetadata():set("limner", "native", true)
  end
  headers:remove(VIOLATIONS)
  local path, query = headers:get(":path"):match("^([^?#]*)%??([^#]*)")
  local call = call_of(headers:get(":method"), path)
  if not call then return end
  local found = {count = 0, list = {}}
  local query_left = check_query(query, call.query, found)
  local body = call.body and handle:body()
  local body_left = body and check_body(body:getBytes(0, body:length()), call.body, found)
  if found.count == 0 then return end
  headers = handle:headers()  -- those from before the body came can't be used any more
  local text = encoded(found.list)
  if (body and not body_left) or #text + #(headers:get("authorization") or "") > MAX_PASSED_BYTES then
    return refuse(handle, found.list)
  end
  headers:replace(VIOLATIONS, handle:base64Escape(text))
  headers:replace("idempotency-key", REFUSED_KEY)
  headers:replace(":path", query_left == "" and path or path .. "?" .. query_left)
  if body then headers:replace("content-length", tostring(body:setBytes(body_left))) end
end

local HIDDEN = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding"}

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char) return ("\\u%04x"):format(char:byte()) end) .. '"'
end

-- The transcoder answers an empty body when the error's details hold a type that is not in the descriptor set.
local function give_body(handle, headers)
  local code = headers:get("grpc-status")
  local message = (headers:get("grpc-message") or ""):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  local text = ('{"code":%d,"message":%s,"details":[]}'):format(tonumber(code) or 2, quote(message))
  headers:replace("content-type", "application/json")
  handle:body(true):setBytes(text)
  headers:replace("content-length", tostring(#text))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if (handle:streamInfo():dynamicMetadata():get("limner") or {}).native then return end
  local length = headers:get("x-content-length")
  if tonumber(headers:get(":status")) >= 400 and headers:get("content-length") == "0" and headers:get("grpc-status") then
    give_body(handle, headers)
  elseif length then
    headers:replace("content-length", length)
    headers:remove("x-content-length")
  end
  for _, name in ipairs(HIDDEN) do headers:remove(name) end
end
