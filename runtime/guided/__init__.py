"""Guided decoding: a reply, or the calls in it, can only take the form that was asked for.

``spec`` says what was asked, ``schema`` what of JSON Schema can be enforced, ``call_grammar`` and
``compiler`` make grammars of both, ``matcher`` follows a reply. Masks are computed by llguidance.
"""
