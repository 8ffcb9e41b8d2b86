"""Links, runs and peers in virtual time: the proof that less link gives less picture, never none.

Imports codec, transport and player; nothing here but `wire` and `truth` reads a real clock or a socket.
"""
