-- Reads a JSON body once, byte by byte, and compares it with what a call takes. MESSAGES, made from the descriptor,
-- stands ahead.
--
-- Bodies come from strangers, so the work is bounded by the length: a string costs one step of an automaton a byte (no
-- pattern: those cost ten times as much), the number of values and their depth have bounds, and where a value stands
-- is spelled out only when it is reported.

local MAX_DEPTH = 32
local MAX_VALUES = 1024
local MAX_KEY_BYTES = 128
local MAX_NUMBER_BYTES = 64
-- The longest prompt takes 384,000 bytes when every character is escaped.
local MAX_STRING_BYTES = 400000
local MAX_VIOLATIONS = 20
local MAX_NAME_BYTES = 200
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
local byte, sub = string.byte, string.sub
local ffi = require("ffi")

-- STRING[state + byte] is the next state within a string; DONE is behind its end, WRONG where it is no JSON or no UTF-8.
-- A table of Lua's own would make each step twice as dear.
local DONE, WRONG, STATES = -1, -2, 20
local STRING = ffi.new("int16_t[?]", STATES * 256)
do
  local count = 0
  local function state()
    assert(count < STATES)
    count = count + 1
    for each = 0, 255 do STRING[(count - 1) * 256 + each] = WRONG end
    return (count - 1) * 256
  end
  local function on(from, first, last, to)
    for each = first, last do STRING[from + each] = to end
  end
  local function on_hex(from, to)
    on(from, 48, 57, to)
    on(from, 65, 70, to)
    on(from, 97, 102, to)
  end
  local function on_any(from, characters, to)
    for index = 1, #characters do STRING[from + byte(characters, index)] = to end
  end

  local text, escape = state(), state()
  on(text, 32, 127, text)
  on_any(text, '"', DONE)
  on_any(text, "\\", escape)
  on_any(escape, '"\\/bfnrt', text)

  -- \uXXXX: the second half of a surrogate pair must follow the first, and stands nowhere else.
  local hex4, hex3, hex2, hex1 = state(), state(), state(), state()
  local surrogate, high2, high1, pair, pair_u, pair_d, low = state(), state(), state(), state(), state(), state(), state()
  on_any(escape, "u", hex4)
  on_hex(hex4, hex3)
  on_any(hex4, "dD", surrogate)
  on_hex(hex3, hex2)
  on_hex(hex2, hex1)
  on_hex(hex1, text)
  on(surrogate, 48, 55, hex2)
  on_any(surrogate, "89abAB", high2)
  on_hex(high2, high1)
  on_hex(high1, pair)
  on_any(pair, "\\", pair_u)
  on_any(pair_u, "u", pair_d)
  on_any(pair_d, "dD", low)
  on_any(low, "cdefCDEF", hex2)

  -- UTF-8, as RFC 3629 draws it.
  local tail1, tail2, tail3 = state(), state(), state()
  local after_e0, after_ed, after_f0, after_f4 = state(), state(), state(), state()
  on(text, 0xc2, 0xdf, tail1)
  on(text, 0xe0, 0xe0, after_e0)
  on(text, 0xe1, 0xef, tail2)
  on(text, 0xed, 0xed, after_ed)
  on(text, 0xf0, 0xf0, after_f0)
  on(text, 0xf1, 0xf3, tail3)
  on(text, 0xf4, 0xf4, after_f4)
  on(tail1, 0x80, 0xbf, text)
  on(tail2, 0x80, 0xbf, tail1)
  on(tail3, 0x80, 0xbf, tail2)
  on(after_e0, 0xa0, 0xbf, tail1)
  on(after_ed, 0x80, 0x9f, tail1)
  on(after_f0, 0x90, 0xbf, tail2)
  on(after_f4, 0x80, 0x8f, tail2)
end

-- `found` counts all violations, and lists the first ones.
local function report(found, field, description)
  found.count = found.count + 1
  if found.count > MAX_VIOLATIONS then return end
  if #field > MAX_NAME_BYTES then
    -- No character is cut in two.
    field = sub(field, 1, MAX_NAME_BYTES):gsub("[\192-\255][\128-\191]*$", "") .. "..."
  end
  found.list[found.count] = {field = field, description = description}
end

local function is_number_of(kind, text)
  if #text > MAX_NUMBER_BYTES then return false end
  if text:find("[^%d.eE+-]") or byte(text, 1) == 43 then return false end
  local number, range = tonumber(text), RANGES[kind]
  if not number or number - number ~= 0 then return false end
  return not range or (number % 1 == 0 and number >= range[1] and number <= range[2])
end

local SPACE = ffi.new("bool[256]")
for _, each in ipairs({9, 10, 13, 32}) do SPACE[each] = true end

-- Returns the first position from `at` on that is no white space, and its byte; nil at the end.
local function skip(text, at)
  for position = at, #text do
    local found = byte(text, position)
    if not SPACE[found] then return position, found end
  end
  return #text + 1
end

-- Ends the reading: by what is wrong with the whole body, or as no JSON from a position on.
local function stop(at, description)
  error({description = description or "is not valid JSON at byte " .. at})
end

-- Returns the position of the quote that ends the string which begins at `at`.
local function string_end(text, at)
  local state = 0
  for position = at + 1, #text do
    state = STRING[state + byte(text, position)]
    if state < 0 then
      if state == DONE then return position end
      stop(position)
    end
  end
  stop(#text + 1)
end

local ESCAPED = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function utf8_of(code)
  if code < 0x80 then return string.char(code) end
  local tail = string.char(0x80 + code % 0x40)
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 0x40)) .. tail end
  tail = string.char(0x80 + math.floor(code / 0x40) % 0x40) .. tail
  if code < 0x10000 then return string.char(0xe0 + math.floor(code / 0x1000)) .. tail end
  return string.char(0xf0 + math.floor(code / 0x40000), 0x80 + math.floor(code / 0x1000) % 0x40) .. tail
end

-- Returns what a short string with escapes, found to be right before, stands for.
local function unescaped(text)
  text = text:gsub("\\u[dD]([89abAB]%x%x)\\u[dD](%x%x%x)", function(high, low)
    return utf8_of(0x10000 + (tonumber(high, 16) - 0x800) * 0x400 + tonumber(low, 16) - 0xc00)
  end)
  return (text:gsub("\\(.)([^\\]*)", function(escape, rest)
    if escape == "u" then return utf8_of(tonumber(sub(rest, 1, 4), 16)) .. sub(rest, 5) end
    return (ESCAPED[escape] or escape) .. rest
  end))
end

-- Reads by recursive descent. Every reader takes a position in the text and returns the one behind what it read.
-- `rules` are what the value must be; nil: anything. `self.path` holds the names and indexes that lead to it.
local Reader = {}
Reader.__index = Reader

function Reader:report(depth, description)
  local parts = {}
  for level = 1, depth do
    local name = self.path[level]
    parts[level] = type(name) == "number" and "[" .. name .. "]" or level == 1 and name or "." .. name
  end
  report(self.found, table.concat(parts), description)
end

function Reader:number(at)
  local text = sub(self.text, at, at + MAX_NUMBER_BYTES)
  local whole = text:match("^%-?%d+")
  if not whole or whole:find("^%-?0%d") then stop(at) end
  local behind = #whole + 1
  if byte(text, behind) == 46 then
    local fraction = text:match("^%.%d+", behind)
    if not fraction then stop(at) end
    behind = behind + #fraction
  end
  if text:find("^[eE]", behind) then
    local exponent = text:match("^[eE][+-]?%d+", behind)
    if not exponent then stop(at) end
    behind = behind + #exponent
  end
  if behind > MAX_NUMBER_BYTES then stop(at, "holds a number of more than " .. MAX_NUMBER_BYTES .. " characters") end
  return at + behind - 1, "number", sub(text, 1, behind - 1)
end

-- Returns the position behind a scalar, what it is, and its text where that matters: that of a number.
function Reader:scalar(at, first)
  if first == 34 then
    local last = string_end(self.text, at)
    return last + 1, "string", last - at <= MAX_NUMBER_BYTES and sub(self.text, at + 1, last - 1) or ""
  end
  if first == 45 or (first and first >= 48 and first <= 57) then return self:number(at) end
  local word = self.text:match("^%l%l%l%l?%l?", at)
  if word ~= "true" and word ~= "false" and word ~= "null" then stop(at) end
  return at + #word, word
end

local function fits(kind, found, text)
  if found == kind then return true end
  if kind == "bytes" then return found == "string" end
  if kind == "bool" then return found == "true" or found == "false" end
  return (RANGES[kind] or kind == "double") and (found == "number" or found == "string") and is_number_of(kind, text)
end

local function wanted(rules)
  return rules.list and "must be a list" or SCALARS[rules.kind] or "must be an object"
end

-- `in_list`: where null is no way to leave something out, but an element that would be dropped.
function Reader:value(at, rules, depth, in_list)
  local first
  self.values = self.values + 1
  if self.values > MAX_VALUES then stop(at, "holds more than " .. MAX_VALUES .. " members and elements") end
  at, first = skip(self.text, at)
  if depth > MAX_DEPTH then stop(at, "is nested more than " .. MAX_DEPTH .. " levels deep") end
  if first == 123 or first == 91 then
    local expected = rules and (rules.list and 91 or rules.message and 123)
    if rules and first ~= expected then
      self:report(depth, wanted(rules))
      rules = nil
    end
    if first == 123 then return self:object(at, rules and MESSAGES[rules.message], depth) end
    return self:list(at, rules and rules.list, depth)
  end
  local behind, found, text = self:scalar(at, first)
  if rules and (found ~= "null" or in_list) and (not rules.kind or not fits(rules.kind, found, text)) then
    self:report(depth, wanted(rules))
  elseif rules and found == "string" and behind - at > MAX_STRING_BYTES + 2 then
    self:report(depth, "must have at most " .. MAX_STRING_BYTES .. " bytes")
  end
  return behind
end

function Reader:list(at, rules, depth)
  local index, found = 0, nil
  at, found = skip(self.text, at + 1)
  if found == 93 then return at + 1 end
  while true do
    self.path[depth + 1] = index
    at, found = skip(self.text, self:value(at, rules, depth + 1, true))
    if found == 93 then return at + 1 end
    if found ~= 44 then stop(at) end
    index = index + 1
    at = at + 1
  end
end

-- Returns what a member's value must be; nil where nothing is asked of it, or where it should not be there at all.
function Reader:member(key, known, depth, seen)
  if not known then return end
  local rules = known[key]
  if not rules then return self:report(depth, "is not a field of this request") end
  if rules.bound then return self:report(depth, "is given by the path, not by the body") end
  if seen[rules.name] then return self:report(depth, "is given twice") end
  if rules.oneof and seen[rules.oneof] then self:report(depth, "excludes " .. seen[rules.oneof]) end
  seen[rules.name] = true
  if rules.oneof then seen[rules.oneof] = key end
  return rules
end

-- Returns a member's name, of a long one the beginning, and the position behind it.
function Reader:key(at)
  local last = string_end(self.text, at)
  if last - at - 1 > MAX_KEY_BYTES then return sub(self.text, at + 1, at + MAX_NAME_BYTES + 1), last + 1, true end
  local key = sub(self.text, at + 1, last - 1)
  -- Once the list of what is wrong is full, no name matters any more.
  local escaped = self.found.count <= MAX_VIOLATIONS and key:find("\\", 1, true)
  return escaped and unescaped(key) or key, last + 1, false
end

function Reader:object(at, known, depth)
  local seen, found = {}, nil
  at, found = skip(self.text, at + 1)
  if found == 125 then return at + 1 end
  while true do
    if found ~= 34 then stop(at) end
    local begin, key, long = at, nil, nil
    key, at, long = self:key(at)
    at, found = skip(self.text, at)
    if found ~= 58 then stop(at) end
    self.path[depth + 1] = key
    local count, from = self.found.count, skip(self.text, at + 1)
    local rules = self:member(key, known, depth + 1, seen)
    local expected = self.found.count == count
    local behind = self:value(from, rules, depth + 1)
    local mended = expected and rules and rules.message and byte(self.text, from) == 123
    if self.found.count > count and not mended then
      self:cut(long and begin or from, behind, long and '"":null' or "null")
    end
    at, found = skip(self.text, behind)
    if found == 125 then return at + 1 end
    if found ~= 44 then stop(at) end
    at, found = skip(self.text, at + 1)
  end
end

-- Remembers what is to be taken out, and whatever was to be taken out of it.
function Reader:cut(from, behind, instead)
  while #self.cuts > 0 and self.cuts[#self.cuts].from >= from do self.cuts[#self.cuts] = nil end
  self.cuts[#self.cuts + 1] = {from = from, behind = behind, instead = instead}
end

-- Returns the text from a position on, with null, which counts as absent, in the place of what is to be taken out.
function Reader:mended(at)
  local parts = {}
  for _, cut in ipairs(self.cuts) do
    parts[#parts + 1] = sub(self.text, at, cut.from - 1)
    parts[#parts + 1] = cut.instead
    at = cut.behind
  end
  parts[#parts + 1] = sub(self.text, at)
  return table.concat(parts)
end

-- Returns what is left of the body; nothing when it is not JSON, or too much of it, which is reported alone.
local function check_body(text, known, found)
  local reader = setmetatable({text = text, found = found, cuts = {}, path = {}, values = 0}, Reader)
  -- A byte order mark is no JSON, but what some editors write.
  local begin = byte(text, 1) == 0xef and sub(text, 1, 3) == "\239\187\191" and 4 or 1
  local start, first = skip(text, begin)
  if not first then return "" end
  if first ~= 123 then return report(found, "body", "must be a JSON object") end
  local ok, behind = pcall(reader.object, reader, start, known, 0)
  if ok then
    local at, rest = skip(text, behind)
    if not rest then return (found.count > 0 or begin > 1) and reader:mended(begin) or text end
    behind = {description = "is not valid JSON at byte " .. at}
  end
  if type(behind) ~= "table" then error(behind) end
  found.count, found.list = 0, {}
  report(found, "body", behind.description)
end
