"""The one room for going out: what leaves this service by http leaves by it.

``hosts``          what a host is: this machine, numeric, public
``addresses``      which addresses are acceptable, and of one server
``resolver``       names to public addresses, and nothing else
``client``         a request as a value, and one pooled client: time limits, size limits, never a retry or redirect
``stream``         an answer while it arrives; ``answer`` when it is there; ``events`` of an event stream
``body``           request bodies: JSON with pictures in it, multipart forms, plain bytes; encoded slice by slice
``exchange``       times a request for who asks on behalf of a model
``budget``         how much memory answers may take, of all requests together
``streamed_json``  takes pictures out of JSON while it arrives, decoded by ``base64_text``
``errors``         the tree of what goes wrong with a request
"""
