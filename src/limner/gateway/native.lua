-- What passes to the service as gRPC or grpc-web, on paths that are none of REST.

function envoy_on_request(handle)
  local headers = handle:headers()
  local internal = {}
  for name in pairs(headers) do
    if name:find("^x%-limner%-") then internal[#internal + 1] = name end
  end
  for _, name in ipairs(internal) do headers:remove(name) end
  local timeout = headers:get("grpc-timeout")
  if not timeout or (#timeout < 10 and timeout:find("^%d+[HMSmun]$")) then return end
  local length = tonumber(headers:get("content-length") or "0") or 0
  if length > 0 and length <= 65536 then handle:body() end  -- see `rest.lua`
  -- gRPC's own parser would end the stream as if the service were broken.
  handle:streamInfo():dynamicMetadata():set("limner", "fault", true)
  handle:respond({[":status"] = "400"}, "grpc-timeout: must be up to eight digits and a unit of H, M, S, m, u or n")
end

function envoy_on_response(handle)
  local fault = (handle:streamInfo():dynamicMetadata():get("limner") or {}).fault
  -- Envoy tells a 400 of its own as INTERNAL.
  if fault and handle:headers():get("grpc-status") then handle:headers():replace("grpc-status", "3") end
end
